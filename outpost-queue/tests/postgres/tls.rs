//! TLS: what the address says is what happens.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::{PermissionsExt, chown},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use outpost_queue::operation::Submit;
use outpost_queue::store::{Store, StoreError, postgres::PostgresStore};

use super::kit::{Server, submissions};

fn pem(what: &str, der: &[u8]) -> String {
    format!(
        "-----BEGIN {what}-----\n{}\n-----END {what}-----\n",
        STANDARD.encode(der)
    )
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: .ci/interop runs it"]
async fn the_mode_of_the_address_is_obeyed() {
    let port = free_port().to_string();
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = tempfile::Builder::new()
        .prefix("pg")
        .tempdir_in("/tmp")
        .unwrap();
    let [certificate, secret] = ["server.crt", "server.key"].map(|name| folder.path().join(name));
    fs::write(&certificate, pem("CERTIFICATE", key.cert.der())).unwrap();
    fs::write(
        &secret,
        pem("PRIVATE KEY", &key.signing_key.serialize_der()),
    )
    .unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let listen = format!("port={port}");
    let plain = Server::start(&["-c", "listen_addresses=127.0.0.1", "-c", &listen]);
    let owner = fs::metadata(plain.folder().join("data")).unwrap();
    let owner = (
        std::os::unix::fs::MetadataExt::uid(&owner),
        std::os::unix::fs::MetadataExt::gid(&owner),
    );
    chown(&secret, Some(owner.0), Some(owner.1)).unwrap();
    let url = |mode: &str| {
        format!("postgres://postgres@localhost:{port}/outpost?hostaddr=127.0.0.1&{mode}")
    };
    let trusted = format!("sslmode=verify-full&sslrootcert={}", certificate.display());
    for (mode, works) in [
        ("sslmode=disable", true),
        ("sslmode=prefer", true),
        ("sslmode=require", false),
        (&trusted, false),
    ] {
        let opened = PostgresStore::open(&url(mode)).await;
        assert_eq!(opened.is_ok(), works, "{mode} without TLS: {opened:?}");
    }
    drop(plain);
    let certificate_option = format!("ssl_cert_file={}", certificate.display());
    let secret_option = format!("ssl_key_file={}", secret.display());
    let secure = Server::start(&[
        "-c",
        "listen_addresses=127.0.0.1",
        "-c",
        &listen,
        "-c",
        "ssl=on",
        "-c",
        &certificate_option,
        "-c",
        &secret_option,
    ]);
    for mode in ["sslmode=prefer", "sslmode=require", &trusted] {
        let store = PostgresStore::open(&url(mode))
            .await
            .unwrap_or_else(|why| panic!("{mode}: {why}"));
        store.run(Submit::new(submissions(1, 1))).await.unwrap();
        let beside = super::kit::client(&secure.url).await;
        let encrypted = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
            WHERE ssl AND application_name = 'outpost-queue'";
        assert_eq!(
            beside
                .query_one(encrypted, &[])
                .await
                .unwrap()
                .get::<_, i64>(0),
            1,
            "{mode}"
        );
        drop(store);
        while beside
            .query_one(encrypted, &[])
            .await
            .unwrap()
            .get::<_, i64>(0)
            > 0
        {
            tokio::time::sleep(core::time::Duration::from_millis(5)).await;
        }
    }
    // Nobody trusts this certificate, and another name is not that of the server.
    let other = url(&trusted).replace("@localhost", "@db.example");
    for url in [url("sslmode=verify-full"), other] {
        let error = PostgresStore::open(&url).await.unwrap_err();
        assert!(matches!(error, StoreError::Unusable(_)), "{error}");
    }
}
