//! `FEATURE`: slots, GPUs, hooks and extra daemons.

use super::{Template, template};

const fn feature(name: &'static str, body: &'static str) -> Template {
    template("FEATURE", name, body)
}

pub(super) static TEMPLATES: &[Template] = &[
    feature(
        "PartitionableSlot",
        "NUM_SLOTS_TYPE_$(1:1) = 1
        SLOT_TYPE_$(1:1)_PARTITIONABLE = true
        SLOT_TYPE_$(1:1) = $(2+:100%)",
    ),
    feature(
        "StaticSlots",
        "NUM_SLOTS_TYPE_$(1:1) = $(2:$(NUM_CPUS))
        SLOT_TYPE_$(1:1)_PARTITIONABLE = false
        # Without a third argument the startd shares all equally.
        SLOT_TYPE_$(1:1) = $(3+)",
    ),
    feature(
        "GPUs",
        "MACHINE_RESOURCE_INVENTORY_GPUs = $(LIBEXEC)/condor_gpu_discovery $(1) -properties $(GPU_DISCOVERY_EXTRA)
        ENVIRONMENT_FOR_AssignedGPUs = GPU_DEVICE_ORDINAL=/(CUDA|OCL)//  CUDA_VISIBLE_DEVICES=/CUDA//
        ENVIRONMENT_VALUE_FOR_UnAssignedGPUs = 10000
        use FEATURE : GPUsMonitor",
    ),
    feature(
        "GPUsMonitor",
        "use FEATURE : Monitor(GPUs, WaitForExit, 1, $(LIBEXEC)/condor_gpu_utilization, SUM:GPUs, PEAK:GPUsMemory)
        STARTD_CRON_GPUs_MONITOR_CONDITION = TotalGPUs > 0
        STARTD_JOB_ATTRS = $(STARTD_JOB_ATTRS) GPUsUsage GPUsMemoryUsage GPUsAverageUsage",
    ),
    feature(
        "Monitor",
        "if ! $(5?)
          error : use FEATURE : Monitor requires 5 arguments: resource, mode, period, executable, metrics
        endif
        STARTD_CRON_JOBLIST = $(STARTD_CRON_JOBLIST) $(1)_MONITOR
        STARTD_CRON_$(1)_MONITOR_MODE = $(2)
        STARTD_CRON_$(1)_MONITOR_PERIOD = $(3)
        STARTD_CRON_$(1)_MONITOR_EXECUTABLE = $(4)
        STARTD_CRON_$(1)_MONITOR_METRICS = $(5+)",
    ),
    feature(
        "ContinuousCronHook",
        "if ! $(3?)
          error : use FEATURE : ContinuousCronHook requires 3 arguments: prefix, name, executable
        endif
        $(1)_JOBLIST = $($(1)_JOBLIST) $(2)
        $(1)_$(2)_MODE = WaitForExit
        $(1)_$(2)_PERIOD = 1
        $(1)_$(2)_EXECUTABLE = $(3)
        if $(4?)
          $(1)_$(2)_ARGS = $(4)
        endif",
    ),
    feature(
        "OneShotCronHook",
        "if ! $(3?)
          error : use FEATURE : OneShotCronHook requires 3 arguments: prefix, name, executable
        endif
        $(1)_JOBLIST = $($(1)_JOBLIST) $(2)
        $(1)_$(2)_MODE = OneShot
        $(1)_$(2)_EXECUTABLE = $(3)
        if $(4?)
          $(1)_$(2)_ARGS = $(4)
        endif",
    ),
    feature(
        "PeriodicCronHook",
        "if ! $(4?)
          error : use FEATURE : PeriodicCronHook requires 4 arguments: prefix, name, period, executable
        endif
        $(1)_JOBLIST = $($(1)_JOBLIST) $(2)
        $(1)_$(2)_MODE = Periodic
        $(1)_$(2)_PERIOD = $(3)
        $(1)_$(2)_EXECUTABLE = $(4)
        if $(5?)
          $(1)_$(2)_ARGS = $(5)
        endif",
    ),
    feature("StartdCronContinuous", "use FEATURE : ContinuousCronHook(STARTD_CRON,$(0))"),
    feature("StartdCronOneShot", "use FEATURE : OneShotCronHook(STARTD_CRON,$(0))"),
    feature("StartdCronPeriodic", "use FEATURE : PeriodicCronHook(STARTD_CRON,$(0))"),
    feature("ScheddCronContinuous", "use FEATURE : ContinuousCronHook(SCHEDD_CRON,$(0))"),
    feature("ScheddCronOneShot", "use FEATURE : OneShotCronHook(SCHEDD_CRON,$(0))"),
    feature("ScheddCronPeriodic", "use FEATURE : PeriodicCronHook(SCHEDD_CRON,$(0))"),
    feature(
        "CommonCloudAttributesAWS",
        "use FEATURE : StartdCronOneShot(cloud, $(LIBEXEC)/common-cloud-attributes-aws.py, $(0))
        STARTD_CRON_cloud_PREFIX = Cloud",
    ),
    feature(
        "CommonCloudAttributesGoogle",
        "use FEATURE : StartdCronOneShot(cloud, $(LIBEXEC)/common-cloud-attributes-google.py, $(0))
        STARTD_CRON_cloud_PREFIX = Cloud",
    ),
    feature(
        "JobsHaveInstanceIDs",
        "SYSTEM_JOB_MACHINE_ATTRS = $(SYSTEM_JOB_MACHINE_ATTRS) CloudInstanceID",
    ),
    feature(
        "REMOTE_RUNTIME_CONFIG",
        "if ! $(0#)
          error : use FEATURE : REMOTE_RUNTIME_CONFIG requires an argument: the names that may be set
        endif
        ENABLE_RUNTIME_CONFIG = true
        ALLOW_CONFIG = $(ALLOW_ADMINISTRATOR)
        SETTABLE_ATTRS_CONFIG = $(0)",
    ),
    feature(
        "REMOTE_CONFIG",
        "use FEATURE : REMOTE_RUNTIME_CONFIG($(0))
        ENABLE_PERSISTENT_CONFIG = true
        PERSISTENT_CONFIG_DIR = $(LOCAL_DIR)/config",
    ),
    feature(
        "POLICY_EXPR_FRAGMENTS",
        "PolicyExprFragments = 1
        KeyboardBusy = (KeyboardIdle < 60)
        ConsoleBusy = (ConsoleIdle < 60)
        KeyboardNotBusy = ($(KeyboardBusy) == False)
        JustCPU = ($(CpuBusy) && ($(KeyboardBusy) == False))
        MachineBusy = ($(CpuBusy) || $(KeyboardBusy))
        NonCondorLoadAvg = (LoadAvg - CondorLoadAvg)
        CpuIdle = ($(NonCondorLoadAvg) <= 0.3)
        CpuBusy = ($(NonCondorLoadAvg) >= 0.5)
        ActivationTimer = ifThenElse(JobStart =!= UNDEFINED, (time() - JobStart), 0)
        LastCkpt = (time() - LastPeriodicCheckpoint)",
    ),
    feature(
        "POLICY_HOURS_TO_START",
        "WorkdayBeginHour = $(1:8)
        WorkdayEndHour = $(2:12+5)
        WorkdayBeginMinuteStartJobs = (($(WorkdayEndHour)) * 60)
        WorkdayBeginMinuteStopJobs = (($(WorkdayBeginHour)) * 60)
        WorkdayEndMinute = (($(WorkdayEndHour)) * 60)
        if $(3?)
          WorkweekFirstDay = $(3)
          WorkweekLastDay = $(4)
          IsWeekend = (ClockDay < $(WorkweekFirstDay) || ClockDay > $(WorkweekLastDay))
        else
          IsWeekend = False
        endif
        IsWorkday = ($(IsWeekend) == False)
        NoJobsHours = ($(IsWorkday) && ClockMin >= $(WorkdayBeginMinuteStopJobs) && ClockMin < $(WorkdayEndMinute))
        RunJobsHours = ($(NoJobsHours) == False)",
    ),
    feature(
        "UWCS_DESKTOP_POLICY_VALUES",
        "use FEATURE : POLICY_EXPR_FRAGMENTS
        STARTD_LATCH_EXPRS = $(STARTD_LATCH_EXPRS) CpuBusy
        CpuBusyTimer = ifThenElse(CpuBusyTime =!= UNDEFINED, time() - CpuBusyTime, 0)
        UWCS_WANT_SUSPEND = ($(KeyboardNotBusy) || $(CpuBusy)) && $(ActivationTimer) > 90
        UWCS_WANT_VACATE = $(ActivationTimer) > 600
        UWCS_START = KeyboardIdle > 900 && ($(CpuIdle) || (State != \"Unclaimed\" && State != \"Owner\"))
        UWCS_SUSPEND = $(KeyboardBusy) || ($(CpuBusyTimer) > 120 && $(ActivationTimer) > 90)
        UWCS_CONTINUE = $(CpuIdle) && (time() - EnteredCurrentActivity > 10) && KeyboardIdle > 300
        UWCS_PREEMPT = (Activity == \"Suspended\" && time() - EnteredCurrentActivity > 600) || (SUSPEND && (WANT_SUSPEND == False))
        UWCS_MaxJobRetirementTime = 0
        UWCS_KILL = Activity == \"Vacating\" && time() - EnteredCurrentActivity > 600
        UWCS_PERIODIC_CHECKPOINT = $(LastCkpt) > 10800
        UWCS_NEGOTIATOR_PRE_JOB_RANK = RemoteOwner =?= UNDEFINED
        UWCS_NEGOTIATOR_POST_JOB_RANK = (RemoteOwner =?= UNDEFINED) * KFlops
        UWCS_PREEMPTION_REQUIREMENTS = time() - EnteredCurrentState > 3600 && RemoteUserPrio > TARGET.SubmitterUserPrio * 1.2
        UWCS_PREEMPTION_RANK = RemoteUserPrio * 1000000",
    ),
    feature(
        "TESTINGMODE_POLICY_VALUES",
        "TESTINGMODE_WANT_SUSPEND = False
        TESTINGMODE_WANT_VACATE = False
        TESTINGMODE_START = True
        TESTINGMODE_SUSPEND = False
        TESTINGMODE_CONTINUE = True
        TESTINGMODE_PREEMPT = False
        TESTINGMODE_KILL = False
        TESTINGMODE_PERIODIC_CHECKPOINT = False
        TESTINGMODE_PREEMPTION_REQUIREMENTS = False
        TESTINGMODE_PREEMPTION_RANK = 0
        TESTINGMODE_CLAIM_WORKLIFE = 1200",
    ),
    feature(
        "KRB",
        "SEC_CREDENTIAL_DIRECTORY_KRB = /var/lib/condor/krb_credentials
        DAEMON_LIST = $(DAEMON_LIST) CREDD
        SEC_CREDENTIAL_PRODUCER = CREDENTIAL_ALREADY_STORED
        SEC_CREDENTIAL_MONITOR_KRB_LOG = $(LOG)/CredMonKRBLog
        AUTO_INCLUDE_CREDD_IN_DAEMON_LIST = True
        USE_KEYRING_SESSIONS = True",
    ),
    feature(
        "OAUTH",
        "SEC_CREDENTIAL_DIRECTORY_OAUTH = /var/lib/condor/oauth_credentials
        CREDMON_OAUTH_LOG = $(LOG)/CredMonOAuthLog
        DAEMON_LIST = $(DAEMON_LIST) CREDD CREDMON_OAUTH
        AUTO_INCLUDE_CREDD_IN_DAEMON_LIST = True
        TRUST_CREDENTIAL_DIRECTORY = True",
    ),
    // From here on: for daemons of submit hosts and central managers.
    feature(
        "ScheddUsermapFile",
        "SCHEDD_CLASSAD_USER_MAP_NAMES = $(SCHEDD_CLASSAD_USER_MAP_NAMES) $(1)
        if $(2?)
          CLASSAD_USER_MAPFILE_$(1) = $(2)
        endif",
    ),
    feature(
        "AssignAccountingGroup",
        "if $(1?)
          use FEATURE : ScheddUsermapFile(AssignGroup, $(1))
        endif
        JOB_TRANSFORM_NAMES = $(JOB_TRANSFORM_NAMES) AssignAccountingGroup",
    ),
    feature(
        "SetJobAttrFromUsermap",
        "if $(4?)
          use FEATURE : ScheddUsermapFile($(3), $(4))
        endif
        JOB_TRANSFORM_NAMES = $(JOB_TRANSFORM_NAMES) Set$(1)",
    ),
    feature(
        "AssignProjectName",
        "if $(1?)
          use FEATURE : SetJobAttrFromUsermap(ProjectName, ProjectName, $(1+))
        endif",
    ),
    feature(
        "DefaultCheckpointDestination",
        "EXTENDED_SUBMIT_COMMANDS = $(EXTENDED_SUBMIT_COMMANDS)
        JOB_TRANSFORM_NAMES = $(JOB_TRANSFORM_NAMES) CheckpointStorage",
    ),
    feature(
        "PelicanRetryPolicy",
        "PelicanRetry_MaxRetries = 5
        JOB_TRANSFORM_NAMES = $(JOB_TRANSFORM_NAMES) PelicanRetry",
    ),
    feature(
        "ChildCollector",
        "COLLECTOR$(1) = $(COLLECTOR)
        COLLECTOR$(1)_ARGS = -local-name COLLECTOR$(1)
        if $(2?)
          COLLECTOR$(1)_ARGS = $(COLLECTOR$(1)_ARGS) -port $(2)
        endif
        COLLECTOR$(1).COLLECTOR_NAME = COLLECTOR$(1)
        COLLECTOR$(1).CONDOR_VIEW_HOST = $(COLLECTOR_HOST)
        DAEMON_LIST = $(DAEMON_LIST) COLLECTOR$(1)",
    ),
    feature("ADSTASH", "DAEMON_LIST = $(DAEMON_LIST) ADSTASH"),
    feature("GANGLIA", "DAEMON_LIST = $(DAEMON_LIST) GANGLIAD"),
    feature("METRICD", "DAEMON_LIST = $(DAEMON_LIST) METRICD"),
    feature(
        "LIBRARIAN",
        "DAEMON_LIST = $(DAEMON_LIST) LIBRARIAN
        USING_LIBRARIAN = True",
    ),
    feature(
        "PelicanCache",
        "PELICANCACHE_SIZE = $(1)
        PELICANCACHE_RUNLOCATION = $(2)
        PELICANCACHE_FEDERATION = $(3)
        DAEMON_LIST = $(DAEMON_LIST) PELICANCACHE",
    ),
    feature(
        "HPC_ANNEX",
        "HPC_ANNEX_ENABLED = True
        AP_COLLECTOR = $(COLLECTOR)
        DAEMON_LIST = $(DAEMON_LIST) AP_COLLECTOR",
    ),
];
