//! Who this machine is, and the settings that concern no delivery in particular.

use std::path::PathBuf;
use std::time::Duration;

use crate::parameter::{params, shared};
use crate::{Derived, Grammar};

params! {
    "general";
    /// Names of this machine, SMTPUTF8 switches, and parameters that others refer to.
    pub struct GeneralParams {
        /// The full name of this machine: what EHLO says, and what is compared with the names of
        /// servers to notice mail loops. Default: the machine's name as the caller gave it,
        /// completed with `mydomain`.
        myhostname: Derived<String> = shared("myhostname", "").min(1).grammar(Grammar::Name);
        /// The domain of this machine: `myhostname` without its first label, unless set.
        /// `localdomain` if the host name has no dot.
        mydomain: Derived<String> = shared("mydomain", "").min(1).grammar(Grammar::Name);
        /// The folder of the configuration file that was read; relative table names start there.
        config_directory: PathBuf = shared("config_directory", "/etc/postfix").min(1);
        /// Which of Postfix's newer defaults apply, as `major.minor.patch`; other defaults compare
        /// it with `<level`. Zero keeps all the old ones.
        compatibility_level: String = shared("compatibility_level", "0").min(1).grammar(Grammar::Level);
        /// The domain that is appended to addresses without one; also decides which addresses may
        /// match by their local part alone in address tables.
        myorigin: Derived<String> = shared("myorigin", "$myhostname")
            .min(1)
            .grammar(Grammar::Name);
        /// The domains for which this machine is the final destination; they may match by their
        /// local part alone in address tables.
        mydestination: Derived<String> =
            shared("mydestination", "$myhostname, localhost.$mydomain, localhost");
        /// The networks that this machine trusts. The client itself does not use them.
        mynetworks: String = shared("mynetworks", "127.0.0.0/8 [::1]/128")
            .mapped("kept for references; the networks of this machine are not probed");
        /// How the default of `mynetworks` is made.
        mynetworks_style: Derived<String> =
            shared("mynetworks_style", "${{$compatibility_level} <level {2} ? {subnet} : {host}}")
                .mapped("kept for references from other parameters");
        /// The domains that this machine relays mail to. The client itself does not use them.
        relay_domains: Derived<String> =
            shared("relay_domains", "${{$compatibility_level} <level {2} ? {$mydestination} : {}}")
                .mapped("kept for references from other parameters");
        /// The lists in which `example.com` also matches its subdomains; in all others they are
        /// written `.example.com`. Here it concerns `debug_peer_list`.
        parent_domain_matches_subdomains: Vec<String> = shared(
            "parent_domain_matches_subdomains",
            "debug_peer_list,fast_flush_domains,mynetworks,permit_mx_backup_networks,qmqpd_authorized_clients,relay_domains,smtpd_access_maps",
        );
        /// The characters that separate a user name from its extension (`user+tag`). Empty: there
        /// are no extensions.
        recipient_delimiter: String = shared("recipient_delimiter", "");
        /// The kinds of tables after which an extension that the key did not contain is added to
        /// the result. `generic` is the one that concerns this client.
        propagate_unmatched_extensions: Vec<String> =
            shared("propagate_unmatched_extensions", "canonical, virtual")
                .words(&["canonical", "virtual", "alias", "forward", "include", "generic"]);
        /// Whether addresses without a domain get `@$myorigin` when table results are put in
        /// canonical form.
        append_at_myorigin: bool = shared("append_at_myorigin", "yes");
        /// Whether domains without a dot get `.$mydomain` when table results are put in canonical
        /// form.
        append_dot_mydomain: Derived<bool> =
            shared("append_dot_mydomain", "${{$compatibility_level} <level {1} ? {yes} : {no}}");
        /// Whether `host!user` becomes `user@host` when table results are put in canonical form.
        swap_bangpath: bool = shared("swap_bangpath", "yes");
        /// Whether `user%domain` becomes `user@domain` when table results are put in canonical
        /// form.
        allow_percent_hack: bool = shared("allow_percent_hack", "yes");
        /// Whether non-ASCII addresses and domain names are supported in tables and lookups.
        /// Whether MAIL FROM says SMTPUTF8 depends on the request alone.
        smtputf8_enable: Derived<bool> =
            shared("smtputf8_enable", "${{$compatibility_level} <level {1} ? {no} : {yes}}");
        /// The kinds of mail for which Postfix finds out from the text whether SMTPUTF8 is needed.
        smtputf8_autodetect_classes: Vec<String> =
            shared("smtputf8_autodetect_classes", "sendmail, verify")
                .words(&[
                    "sendmail", "smtpd", "qmqpd", "forward", "bounce", "notify", "verify",
                    "all",
                ])
                .mapped("messages made here say themselves what they need");
        /// Whether non-ASCII domain names are converted by the older, transitional rules.
        enable_idna2003_compatibility: bool = shared("enable_idna2003_compatibility", "no");
        /// The sender of notices that must not bounce.
        double_bounce_sender: String = shared("double_bounce_sender", "double-bounce")
            .min(1)
            .grammar(Grammar::Line);
        /// Whether to warn about settings that are probably mistakes.
        helpful_warnings: bool = shared("helpful_warnings", "yes")
            .mapped("warnings are data; the caller decides whether to show them");
        /// The time that one request may take altogether; in Postfix a watchdog ends the process
        /// after it.
        daemon_timeout: Duration = shared("daemon_timeout", "18000s").min(1);
        /// The name of this Postfix instance.
        multi_instance_name: String = shared("multi_instance_name", "")
            .mapped("kept for references from other parameters");
        /// The name of the mail system in messages that it makes.
        mail_name: String = shared("mail_name", "Postfix").min(1).grammar(Grammar::Line);
        /// The version of Postfix whose behaviour is followed.
        mail_version: String = shared("mail_version", "3.7.11")
            .min(1)
            .mapped("kept for references from other parameters");
        /// The owner of Postfix's queue and processes.
        mail_owner: String = shared("mail_owner", "postfix").min(1);
        /// Postfix's queue folder.
        queue_directory: PathBuf = shared("queue_directory", "/var/spool/postfix").min(1);
        /// Where Postfix's commands are.
        command_directory: PathBuf = shared("command_directory", "/usr/sbin")
            .min(1)
            .mapped("kept for references from other parameters");
        /// Where Postfix's daemons are.
        daemon_directory: PathBuf = shared("daemon_directory", "/usr/lib/postfix/sbin")
            .min(1)
            .mapped("kept for references from other parameters");
        /// Where Postfix keeps its own data files.
        data_directory: PathBuf = shared("data_directory", "/var/lib/postfix")
            .min(1)
            .mapped("kept for references from other parameters");
        /// Where the HTML manual is.
        html_directory: String = shared("html_directory", "/usr/share/doc/postfix/html")
            .mapped("kept for references from other parameters");
        /// Where the README files are.
        readme_directory: String = shared("readme_directory", "/usr/share/doc/postfix")
            .mapped("kept for references from other parameters");
    }
    rows {
        /// The name of the client program: `smtp` or `lmtp`.
        Text = shared("process_name", "").refused("read-only: the program sets it, for references");
        /// The name of the service in master.cf: here `smtp` or `lmtp`.
        Text = shared("service_name", "").refused("read-only: the program sets it, for references");
        /// The number of the process.
        Number = shared("process_id", "0")
            .refused("read-only: always 0, since a library has no process");
        /// Checks on message headers that arrive.
        Tables = shared("header_checks", "")
            .mapped("used by the cleanup service before delivery, not by this client");
        /// Checks on message lines that arrive.
        Tables = shared("body_checks", "")
            .mapped("used by the cleanup service before delivery, not by this client");
        /// Checks on MIME headers that arrive.
        Tables = shared("mime_header_checks", "$header_checks")
            .mapped("used by the cleanup service before delivery, not by this client");
        /// Checks on headers of attached messages that arrive.
        Tables = shared("nested_header_checks", "$header_checks")
            .mapped("used by the cleanup service before delivery, not by this client");
        /// Mail filters for mail that does not arrive by SMTP.
        List = shared("non_smtpd_milters", "")
            .mapped("used by the cleanup service before delivery, not by this client");
        /// The kinds of notices that pass content filters.
        List = shared("internal_mail_filter_classes", "")
            .mapped("concerns notices to the postmaster only, and none are sent");
    }
}
