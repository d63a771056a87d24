//! `ROLE` and `SECURITY`: what a host is for, and who may do what to it.

use super::{Template, template};

const fn role(name: &'static str, body: &'static str) -> Template {
    template("ROLE", name, body)
}

const fn security(name: &'static str, body: &'static str) -> Template {
    template("SECURITY", name, body)
}

pub(super) static TEMPLATES: &[Template] = &[
    role("CentralManager", "DAEMON_LIST = $(DAEMON_LIST) COLLECTOR NEGOTIATOR"),
    role("Execute", "DAEMON_LIST = $(DAEMON_LIST) STARTD"),
    role("Submit", "DAEMON_LIST = $(DAEMON_LIST) SCHEDD"),
    role(
        "Personal",
        "CONDOR_HOST = 127.0.0.1
        COLLECTOR_HOST = $(CONDOR_HOST):0
        DAEMON_LIST = MASTER COLLECTOR NEGOTIATOR STARTD SCHEDD
        RunBenchmarks = 0",
    ),
    role(
        "get_htcondor_central_manager",
        "use SECURITY : get_htcondor_idtokens
        use ROLE : CentralManager",
    ),
    role(
        "get_htcondor_execute",
        "use SECURITY : get_htcondor_idtokens
        use ROLE : Execute",
    ),
    role(
        "get_htcondor_submit",
        "use SECURITY : get_htcondor_idtokens
        use ROLE : Submit",
    ),
    security(
        "HOST_BASED",
        "ALLOW_ADMINISTRATOR = $(CONDOR_HOST)
        ALLOW_READ = *
        ALLOW_WRITE = $(FULL_HOSTNAME) $(IPV4_ADDRESS) $(IPV6_ADDRESS)
        ALLOW_DAEMON = $(FULL_HOSTNAME) $(IPV4_ADDRESS) $(IPV6_ADDRESS)
        ALLOW_NEGOTIATOR = $(CONDOR_HOST)
        ALLOW_NEGOTIATOR_SCHEDD = $(ALLOW_NEGOTIATOR) $(FLOCK_NEGOTIATOR_HOSTS)
        ALLOW_WRITE_COLLECTOR = $(ALLOW_WRITE) $(FLOCK_FROM)
        ALLOW_WRITE_STARTD = $(ALLOW_WRITE) $(FLOCK_FROM)
        ALLOW_READ_COLLECTOR = $(ALLOW_READ) $(FLOCK_FROM)
        ALLOW_READ_STARTD = $(ALLOW_READ) $(FLOCK_FROM)
        # Releases before 9.0 wanted it so.
        LEGACY_ALLOW_SEMANTICS = TRUE",
    ),
    security(
        "WITH_AUTHENTICATION",
        "SEC_DEFAULT_AUTHENTICATION = required
        SEC_DEFAULT_INTEGRITY = required",
    ),
    security(
        "STRONG",
        "SEC_DEFAULT_ENCRYPTION = required
        SEC_DEFAULT_INTEGRITY = required
        SEC_DEFAULT_AUTHENTICATION = required",
    ),
    security(
        "FIPS",
        "use SECURITY : STRONG
        FIPS = true
        SEC_DEFAULT_CRYPTO_METHODS = AES",
    ),
    security(
        "USER_BASED",
        "if ! defined authuser
          authuser = condor
        endif
        use SECURITY : recommended($(authuser)@*)
        ALLOW_WRITE = *@$(UID_DOMAIN)",
    ),
    security("recommended", "use SECURITY : recommended_v24_0($(1+))"),
    security(
        "recommended_v24_0",
        "use SECURITY : STRONG
        # What the names below rely on.
        SECURITY_MODEL = 24.0
        # Who only looks may do so without a credential,
        SEC_READ_AUTHENTICATION = OPTIONAL
        # and a client talks to servers that don't know it.
        SEC_CLIENT_AUTHENTICATION = OPTIONAL
        # Arguments: administrators, further daemons, and who may write.
        # The pool's own account comes without being asked for.
        ALLOW_ADMINISTRATOR = $(1:condor@*) condor@password root@*
        ALLOW_DAEMON = condor@* $(2) condor@password
        ALLOW_NEGOTIATOR = condor@* condor@password
        ALLOW_WRITE = $(3+:*)
        ALLOW_READ = *",
    ),
    security(
        "recommended_v9_0",
        "use SECURITY : STRONG
        SECURITY_MODEL = 9.0
        SEC_READ_AUTHENTICATION = OPTIONAL
        SEC_READ_ENCRYPTION = OPTIONAL
        SEC_READ_INTEGRITY = OPTIONAL
        ALLOW_ADMINISTRATOR = $(1:condor@*) condor@password root@*
        ALLOW_DAEMON = condor@* $(2) condor@password
        ALLOW_NEGOTIATOR = condor@* condor@password
        ALLOW_WRITE = $(3+:*)
        ALLOW_READ = *",
    ),
    security(
        "get_htcondor_idtokens",
        "use SECURITY : recommended
        SEC_READ_AUTHENTICATION_METHODS = FS, IDTOKENS, PASSWORD
        SEC_CLIENT_AUTHENTICATION_METHODS = FS, IDTOKENS, PASSWORD
        TRUST_DOMAIN = $(CONDOR_HOST)",
    ),
];
