"""Name spaces of Linux: a loopback of one's own for each run, and a resolver for look-ups by way of the system."""

import ctypes
import fcntl
import os
import socket
import struct
import tempfile
import threading

NEW_MOUNTS, NEW_NETWORK = 0x0002_0000, 0x4000_0000
PRIVATE_TREE, BIND, BIND_TREE = (1 << 18) | (1 << 14), 4096, 4096 | (1 << 14)
GET_FLAGS, SET_FLAGS, SET_ADDRESS = 0x8913, 0x8914, 0x8916
UP = 1
# Addresses on the loopback besides ::1.
ADDRESSES = ["fd00::11", "fd00::12", "fd00::13", "fd00::14", "fd00::21", "fd00::77", "fd00::5:0:1"]
RESOLVER = "127.0.0.253"

_libc = ctypes.CDLL(None, use_errno=True)


def own_network():
    """Moves this process into a network name space of its own, with the loopback up."""
    leave(NEW_NETWORK, "a network name space")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, GET_FLAGS, request))[1]
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sh14x", b"lo", flags | UP))
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as any_socket:
        for address in ADDRESSES:
            packed = socket.inet_pton(socket.AF_INET6, address)
            fcntl.ioctl(any_socket, SET_ADDRESS, struct.pack("16sIi", packed, 128, socket.if_nametoindex("lo")))


def leave(kind, what):
    if _libc.unshare(kind) != 0:
        raise PermissionError(f"cannot have {what} of one's own: {os.strerror(ctypes.get_errno())}")


def permitted():
    """Tries, in a child, what every run needs. Returns what is in the way, or nothing."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        trouble = ""
        try:
            own_network()
            leave(NEW_MOUNTS, "mounts")
        except OSError as error:
            trouble = str(error)
        os.write(writer, trouble.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        trouble = answer.read()
    os.waitpid(child, 0)
    return trouble


def bind(source, target, kind=BIND):
    if _libc.mount(os.fsencode(source), os.fsencode(os.path.realpath(target)), None, kind, None) != 0:
        raise OSError(ctypes.get_errno(), f"cannot mount {source} on {target}")


def own_resolver(folder, name_server, root="/"):
    """Gives this process mounts of its own in which resolv.conf leads to `name_server` (address:port).

    With another root, that root also gets the temporary folder and the names of this machine.
    """
    leave(NEW_MOUNTS, "mounts")
    _libc.mount(b"none", b"/", None, PRIVATE_TREE, None)
    path = os.path.join(folder, "resolv.conf")
    with open(path, "w") as file:
        file.write(f"nameserver {RESOLVER}\noptions timeout:1 attempts:1 trust-ad\nsearch .\n")
    os.chmod(path, 0o644)
    bind(path, "/etc/resolv.conf")
    if root != "/":
        for name in ("etc/resolv.conf", "etc/hosts", "etc/services"):
            if os.path.exists("/" + name) and os.path.exists(os.path.join(root, name)):
                bind(path if name == "etc/resolv.conf" else "/" + name, os.path.join(root, name))
        bind(tempfile.gettempdir(), os.path.join(root, tempfile.gettempdir().lstrip("/")), BIND_TREE)
    Forwarder(name_server)


class Forwarder:
    """Port 53 of the resolver's address, passed on to the scripted name server."""

    def __init__(self, name_server):
        host, port = name_server.rsplit(":", 1)
        self.up = (host.strip("[]"), int(port))
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((RESOLVER, 53))
        self.tcp = socket.create_server((RESOLVER, 53))
        for loop in (self.pass_datagrams, self.pass_streams):
            threading.Thread(target=loop, daemon=True).start()

    def pass_datagrams(self):
        while True:
            question, peer = self.udp.recvfrom(65535)
            threading.Thread(target=self.ask, args=(question, peer), daemon=True).start()

    def ask(self, question, peer):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as upstream:
            upstream.settimeout(5)
            try:
                upstream.sendto(question, self.up)
                self.udp.sendto(upstream.recv(65535), peer)
            except OSError:
                pass

    def pass_streams(self):
        while True:
            client, _ = self.tcp.accept()
            threading.Thread(target=self.join, args=(client,), daemon=True).start()

    def join(self, client):
        try:
            upstream = socket.create_connection(self.up, timeout=5)
        except OSError:
            client.close()
            return
        threading.Thread(target=copy, args=(upstream, client), daemon=True).start()
        copy(client, upstream)


def copy(source, target):
    try:
        while data := source.recv(65535):
            target.sendall(data)
    except OSError:
        pass
    try:
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass
