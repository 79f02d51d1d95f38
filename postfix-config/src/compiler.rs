//! From parameters to the settings of the engine, group by group: what was text becomes values, and tables are
//! opened.

use std::fmt::Display;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use smtp_policy::route::idna::Idna;
use smtp_policy::route::{NexthopRules, OwnAddresses, PortNames, ServiceName};
use smtp_policy::settings::{
    BestMx, Login, NotifyClasses, PixWords, SecurityOptions, Settings, SettingsBuilder,
};
use smtp_policy::tables::{KeyCase, Maps, MatchKind, MatchList, Table, TableError};
use smtp_proto::command::HelloName;
use smtp_proto::reply::KeywordSet;
use smtp_proto::session::{DeadlineRule, HelloChoice, Timeouts};

use super::compile::Machine;
use super::compile_tls as tls;
use super::error::{ConfigError, Problem};
use super::{Config, MainCf, Protocol};
use crate::tables::{self, ProxyTables, TableContext};

/// Makes the settings of one client, and notes down what is wrong.
pub(super) struct Compiler<'a> {
    main: &'a MainCf,
    pub(super) config: &'a Config,
    context: TableContext<'a>,
    directory: &'a Path,
    pub(super) errors: Vec<ConfigError>,
    pub(super) warnings: Vec<String>,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(
        main: &'a MainCf,
        config: &'a Config,
        directory: &'a Path,
        proxies: &ProxyTables,
    ) -> Self {
        // The way in which keys are compared where case does not count.
        let case = match *config.general.smtputf8_enable {
            true => KeyCase::Unicode,
            false => KeyCase::Ascii,
        };
        Self {
            main,
            config,
            context: TableContext::new(directory)
                .with_key_case(case)
                .with_proxies(proxies.clone()),
            directory,
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    #[cfg_attr(
        not(feature = "tls"),
        expect(dead_code, reason = "only TLS reads files")
    )]
    pub(super) fn directory(&self) -> &'a Path {
        self.directory
    }

    /// The files that tables were read from.
    pub(super) fn opened(&mut self) -> Vec<tables::OpenedTable> {
        self.context.take_opened()
    }

    /// The name of a parameter for this client.
    pub(super) fn named(&self, name: &str) -> String {
        format!("{}_{name}", self.config.protocol)
    }

    pub(super) fn fail(&mut self, parameter: &str, reason: &dyn Display) {
        let problem = Problem::Value(reason.to_string());
        self.errors.push(self.main.error(parameter, problem));
    }

    /// The value, or the default after an error, which nobody gets to see.
    pub(super) fn or_default<T: Default, E: Display>(
        &mut self,
        parameter: &str,
        value: Result<T, E>,
    ) -> T {
        value.unwrap_or_else(|error| {
            self.fail(parameter, &error);
            T::default()
        })
    }

    /// Opens the tables of a parameter, named without its prefix. The way in which its keys are compared comes from
    /// the flags of `maps_create` and `dict_open` in `src/smtp/smtp.c`, `src/smtp/smtp_tls_policy.c`,
    /// `src/smtp/smtp_sasl_glue.c`, `src/global/header_body_checks.c`, `src/global/dsn_filter.c` and
    /// `src/dns/dns_rr_filter.c`.
    pub(super) fn maps(&mut self, case: KeyCase, name: &str, list: &str) -> Maps {
        let opened = self
            .context
            .comparing(case, |context| tables::maps_in(list, context));
        self.or_default(&self.named(name), opened)
    }

    /// Opens one table.
    pub(super) fn table(
        &mut self,
        case: KeyCase,
        spec: &str,
    ) -> Result<Arc<dyn Table>, TableError> {
        self.context
            .comparing(case, |context| tables::open_in(spec, context))
    }

    fn checks(&mut self, name: &str, list: &str) -> Maps {
        let opened = self.context.comparing(KeyCase::Exact, |context| {
            tables::byte_maps_in(list, context)
        });
        self.or_default(&self.named(name), opened)
    }

    fn list(&mut self, parameter: &str, kind: MatchKind, list: &str) -> MatchList {
        let opened = tables::match_list_in(list, kind, &mut self.context);
        self.or_default(parameter, opened)
    }

    fn name(&mut self, parameter: &str, text: &str) -> HelloName {
        HelloName::parse(text).unwrap_or_else(|error| {
            self.fail(parameter, &error);
            HelloName::localhost()
        })
    }

    pub(super) fn settings(&mut self, machine: &Machine<'_>) -> SettingsBuilder {
        let mut settings = match self.config.protocol {
            Protocol::Smtp => Settings::smtp(),
            Protocol::Lmtp => Settings::lmtp(),
        };
        self.identity(&mut settings);
        self.hello(&mut settings);
        self.lookup(&mut settings);
        self.connect(machine, &mut settings);
        self.content(&mut settings);
        self.timeouts(&mut settings);
        self.verdict(&mut settings);
        self.reuse(&mut settings);
        self.limits(&mut settings);
        self.login(&mut settings);
        settings.tls = tls::settings(self);
        let mut warnings = self.context.take_warnings();
        warnings.append(&mut self.warnings);
        self.warnings = warnings;
        settings
    }

    fn identity(&mut self, settings: &mut SettingsBuilder) {
        let general = &self.config.general;
        let identity = &mut settings.identity;
        identity.host = self.name("myhostname", &general.myhostname);
        identity.origin = self.name("myorigin", &general.myorigin);
        identity.mail_name.clone_from(&general.mail_name);
        identity
            .double_bounce
            .clone_from(&general.double_bounce_sender);
        identity
            .postmaster
            .clone_from(&self.config.verdict.error_notice_recipient);
    }

    fn hello(&mut self, settings: &mut SettingsBuilder) {
        let helo = &self.config.helo;
        let hello = &mut settings.hello;
        let parameter = match self.config.protocol {
            Protocol::Smtp => "smtp_helo_name",
            Protocol::Lmtp => "lmtp_lhlo_name",
        };
        hello.name = self.name(parameter, &helo.helo_name);
        hello.choice = match (helo.never_send_ehlo, helo.always_send_ehlo) {
            (true, _) => HelloChoice::Helo,
            (false, true) => HelloChoice::Ehlo,
            (false, false) => HelloChoice::AsGreeted,
        };
        hello.discard = KeywordSet::parse(&helo.discard_ehlo_keywords);
        let words = &helo.discard_ehlo_keyword_address_maps;
        hello.discard_by_address =
            self.maps(KeyCase::Exact, "discard_ehlo_keyword_address_maps", words);
        hello.pix.words = PixWords::parse(&helo.pix_workarounds);
        hello.pix.by_address = self.maps(
            KeyCase::Exact,
            "pix_workaround_maps",
            &helo.pix_workaround_maps,
        );
        hello.pix.delay = helo.pix_workaround_delay_time;
        hello.pix.threshold = helo.pix_workaround_threshold_time;
        hello.skip_5xx_greeting = helo.skip_5xx_greeting;
        hello.skip_quit_response = helo.skip_quit_response;
        hello.xforward = helo.send_xforward_command;
    }

    fn lookup(&mut self, settings: &mut SettingsBuilder) {
        let from = &self.config.lookup;
        let lookup = &mut settings.lookup;
        lookup.families = self.config.connect.inet_protocols;
        lookup.dns = *from.dns_support_level;
        lookup.host_lookup = from.host_lookup;
        lookup.search = from.dns_resolver_options;
        lookup.randomize = from.randomize_addresses;
        lookup.preference = from.address_preference;
        lookup.balance = from.balance_inet_protocols;
        lookup.ignore_mx_error = from.ignore_mx_lookup_error;
        lookup.defer_without_mx_address = from.defer_if_no_mx_address_found;
        lookup.cname_overrides_name = from.cname_overrides_servername;
        lookup.idna = match self.config.general.enable_idna2003_compatibility {
            true => Idna::Transitional,
            false => Idna::NonTransitional,
        };
        let filter = self.maps(KeyCase::Ascii, "dns_reply_filter", &from.dns_reply_filter);
        if let Some(table) = filter.external() {
            let why = format!("external:{table}: an external table cannot filter DNS records");
            self.fail(&self.named("dns_reply_filter"), &why);
        } else {
            lookup.filter = filter;
        }
    }

    fn connect(&mut self, machine: &Machine<'_>, settings: &mut SettingsBuilder) {
        let from = &self.config.connect;
        let (own, notes) = OwnAddresses::from_config(
            &from.inet_interfaces,
            &from.proxy_interfaces,
            machine.addresses,
            from.inet_protocols,
        );
        self.warnings.extend(notes);
        let (mut ports, notes) = PortNames::from_known_tcp_ports(&from.known_tcp_ports);
        self.warnings.extend(notes);
        ports.add_services(machine.services);
        let service = from.tcp_port.parse().unwrap_or_else(|error| {
            self.fail(&self.named("tcp_port"), &error);
            ServiceName::smtp()
        });
        let kind = "a network address of the right family";
        let source4 = crate::address::<Ipv4Addr>(&from.bind_address, kind);
        let source6 = crate::address::<Ipv6Addr>(&from.bind_address6, kind);
        let rules = NexthopRules {
            socket_prefixes: self.config.protocol == Protocol::Lmtp,
            ports: ports.clone(),
            default_service: service.clone(),
            idna: (*self.config.general.smtputf8_enable).then_some(settings.lookup.idna),
        };
        let relayhost = match from.relayhost.as_str() {
            "" => Ok(None),
            text => text.parse().map(Some),
        };
        let connect = &mut settings.connect;
        connect.source4 = self.or_default(&self.named("bind_address"), source4);
        connect.source6 = self.or_default(&self.named("bind_address6"), source6);
        connect.enforce_source = from.bind_address_enforce;
        connect.window = from.tcp_windowsize;
        connect.own = Arc::new(own);
        connect.ports = ports;
        connect.service = service;
        connect.relayhost = self.or_default("relayhost", relayhost);
        connect.best_mx = self.best_mx(&from.best_mx_transport);
        for relay in from.fallback_relay.iter() {
            match rules.destination(relay) {
                Ok(destination) => connect.fallback_relays.push(destination),
                Err(error) => self.fail(&self.named("fallback_relay"), &error),
            }
        }
    }

    fn best_mx(&mut self, text: &str) -> Option<BestMx> {
        let (transport, nexthop) = text.split_once(':').unwrap_or((text, ""));
        let nexthop = match nexthop {
            "" => Ok(None),
            nexthop => nexthop.parse().map(Some),
        };
        let nexthop = self.or_default("best_mx_transport", nexthop);
        (!text.is_empty()).then(|| BestMx {
            transport: transport.to_owned(),
            nexthop,
        })
    }

    fn content(&mut self, settings: &mut SettingsBuilder) {
        let (from, general) = (&self.config.content, &self.config.general);
        let content = &mut settings.content;
        content.smtputf8 = *general.smtputf8_enable;
        content.quote_envelope = from.quote_rfc821_envelope;
        content.convert = !from.disable_mime_output_conversion;
        content.header_checks = self.checks("header_checks", &from.header_checks);
        content.mime_header_checks = self.checks("mime_header_checks", &from.mime_header_checks);
        content.nested_header_checks =
            self.checks("nested_header_checks", &from.nested_header_checks);
        content.body_checks = self.checks("body_checks", &from.body_checks);
        content.generic = self.maps(KeyCase::Unicode, "generic_maps", &from.generic_maps);
        let by_sender =
            self.config.sasl.sasl_auth_enable && self.config.sasl.sender_dependent_authentication;
        let rewriting = &mut content.rewriting;
        if !content.generic.is_empty() || by_sender {
            rewriting.destinations =
                self.list("mydestination", MatchKind::Strings, &general.mydestination);
        }
        rewriting
            .delimiters
            .clone_from(&general.recipient_delimiter);
        let propagated = &general.propagate_unmatched_extensions;
        rewriting.propagate_extension = propagated.iter().any(|word| word == "generic");
        rewriting.origin = general
            .append_at_myorigin
            .then(|| self.name("myorigin", &general.myorigin));
        rewriting.domain = general
            .append_dot_mydomain
            .then(|| self.name("mydomain", &general.mydomain));
        rewriting.swap_bangpath = general.swap_bangpath;
        rewriting.percent_hack = general.allow_percent_hack;
    }

    fn timeouts(&mut self, settings: &mut SettingsBuilder) {
        let from = &self.config.timeout;
        let timeouts = &mut settings.timeouts;
        timeouts.connect = not_zero(from.connect_timeout);
        timeouts.session = Timeouts {
            helo: from.helo_timeout,
            starttls: from.starttls_timeout,
            xforward: from.xforward_timeout,
            mail: from.mail_timeout,
            rcpt: from.rcpt_timeout,
            data_init: from.data_init_timeout,
            data_xfer: from.data_xfer_timeout,
            data_done: from.data_done_timeout,
            rset: from.rset_timeout,
            quit: from.quit_timeout,
        };
        timeouts.deadline = match *from.per_request_deadline {
            true => DeadlineRule::PerRequest {
                min_data_rate: from.min_data_rate,
            },
            false => DeadlineRule::PerOperation,
        };
        timeouts.delivery = self.config.general.daemon_timeout;
    }

    fn verdict(&mut self, settings: &mut SettingsBuilder) {
        let from = &self.config.verdict;
        let verdict = &mut settings.verdict;
        let filter = from.reply_filter.trim();
        if !filter.is_empty() {
            let opened = self
                .context
                .comparing(KeyCase::Ascii, |context| tables::open_in(filter, context));
            let opened = opened.map(Some);
            verdict.reply_filter = self.or_default(&self.named("reply_filter"), opened);
        }
        let filter = &from.delivery_status_filter;
        verdict.status_filter = self.maps(KeyCase::Exact, "delivery_status_filter", filter);
        verdict.soft_bounce = from.soft_bounce;
        verdict.assume_final = from.assume_final;
        verdict.probe_target = from.address_verify_target;
        let has = |class: &str| from.notify_classes.iter().any(|name| name == class);
        verdict.notify = NotifyClasses::default();
        verdict.notify.data = has("data");
        verdict.notify.protocol = has("protocol");
        let parents = &self.config.general.parent_domain_matches_subdomains;
        let kind = match parents.iter().any(|name| name == "debug_peer_list") {
            true => MatchKind::HostsWithSubdomains,
            false => MatchKind::Hosts,
        };
        verdict.debug_peers = self.list("debug_peer_list", kind, &from.debug_peer_list);
        settings.log.resolution = from.delay_logging_resolution_limit;
        settings.log.addresses = from.info_log_address_format;
    }

    fn reuse(&mut self, settings: &mut SettingsBuilder) {
        let (from, sasl) = (&self.config.cache, &self.config.sasl);
        let reuse = &mut settings.reuse;
        let name = self.named("connection_cache_destinations");
        reuse.destinations = self.list(
            &name,
            MatchKind::Strings,
            &from.connection_cache_destinations,
        );
        reuse.on_demand = from.connection_cache_on_demand;
        reuse.idle = from
            .connection_cache_time_limit
            .min(from.connection_cache_ttl_limit);
        reuse.age = from.connection_reuse_time_limit;
        reuse.uses = from.connection_reuse_count_limit;
        // Postfix looks at the parameter, whether or not login is turned on.
        reuse.by_destination = !sasl.sasl_password_maps.is_empty();
        reuse.by_sender = reuse.by_destination && sasl.sender_dependent_authentication;
    }

    fn limits(&mut self, settings: &mut SettingsBuilder) {
        let (connect, content, cache) = (
            &self.config.connect,
            &self.config.content,
            &self.config.cache,
        );
        let limits = &mut settings.limits;
        limits.addresses = connect.mx_address_limit;
        limits.sessions = connect.mx_session_limit;
        limits.concurrency = *cache.destination_concurrency_limit;
        limits.recipients = *cache.destination_recipient_limit;
        limits.line = content.line_length_limit;
        limits.header = content.header_size_limit;
        limits.boundary = content.mime_boundary_length_limit;
        limits.nesting = content.mime_nesting_limit;
    }

    fn login(&mut self, settings: &mut SettingsBuilder) {
        let from = &self.config.sasl;
        if !from.sasl_auth_enable {
            return;
        }
        if cfg!(not(feature = "sasl")) {
            let why = "this program was built without SASL";
            return self.fail(&self.named("sasl_auth_enable"), &why);
        }
        if from.sasl_type != "cyrus" {
            let why = format!("unsupported SASL client implementation: {}", from.sasl_type);
            self.fail(&self.named("sasl_type"), &why);
        }
        let parameter = self.named("sasl_password_maps");
        if from.sasl_password_maps.is_empty() {
            let why =
                format!("specify a password table via the `{parameter}' configuration parameter");
            return self.fail(&parameter, &why);
        }
        let list = String::from_utf8_lossy(from.sasl_password_maps.expose());
        let opened = tables::secret_maps_in(&list, &mut self.context);
        let count = self.errors.len();
        let passwords = self.or_default(&parameter, opened);
        if self.errors.len() > count {
            return;
        }
        let mut login = Login::new(passwords);
        let delimiter = self
            .config
            .newer
            .sasl_password_result_delimiter
            .chars()
            .next();
        login.delimiter = delimiter.unwrap_or(login.delimiter);
        login.plaintext = self.options("sasl_security_options", &from.sasl_security_options);
        login.tls = self.options("sasl_tls_security_options", &from.sasl_tls_security_options);
        login.verified_tls = self.options(
            "sasl_tls_verified_security_options",
            &from.sasl_tls_verified_security_options,
        );
        let filter = from.sasl_mechanism_filter.trim();
        login.mechanisms = (!filter.is_empty()).then(|| {
            let name = self.named("sasl_mechanism_filter");
            self.list(&name, MatchKind::Strings, filter)
        });
        login.by_sender = from.sender_dependent_authentication;
        login.memory =
            (!from.sasl_auth_cache_name.trim().is_empty()).then_some(from.sasl_auth_cache_time);
        login.soft_bounce = from.sasl_auth_soft_bounce;
        login.dummy_mail_auth = from.send_dummy_mail_auth;
        login.authzid = from.send_cyrus_sasl_authzid;
        settings.login = Some(login);
    }

    fn options(&mut self, name: &str, words: &[String]) -> SecurityOptions {
        let options = SecurityOptions::parse(words.iter().map(String::as_str));
        self.or_default(&self.named(name), options)
    }
}

pub(super) fn not_zero(time: Duration) -> Option<Duration> {
    (!time.is_zero()).then_some(time)
}
