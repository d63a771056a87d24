//! `POLICY`: when a slot starts, suspends, evicts and holds jobs.

use super::{Template, template};

const fn policy(name: &'static str, body: &'static str) -> Template {
    template("POLICY", name, body)
}

pub(super) static TEMPLATES: &[Template] = &[
    policy(
        "ALWAYS_RUN_JOBS",
        "WANT_SUSPEND = False
        WANT_VACATE = False
        SUSPEND = False
        CONTINUE = True
        PREEMPT = False
        START = True
        KILL = False
        PREEMPTION_REQUIREMENTS = False
        NEGOTIATOR_CONSIDER_PREEMPTION = False
        MaxJobRetirementTime = 0
        CLAIM_WORKLIFE = 1200",
    ),
    policy(
        "PREEMPT_IF",
        "if ! $(1?)
          error : use POLICY : PREEMPT_IF requires an argument: policy_variable
        endif
        # What is to go now neither retires nor waits for better times.
        PREEMPT = $($(1)) || $(PREEMPT)
        MAXJOBRETIREMENTTIME = ifThenElse($($(1)), -1, $(MAXJOBRETIREMENTTIME:0))
        WANT_SUSPEND = $($(1)) =!= True && $(WANT_SUSPEND:False)",
    ),
    policy(
        "WANT_HOLD_IF",
        "if ! $(3?)
          error : use POLICY : WANT_HOLD_IF requires 3 arguments: policy_variable, subcode, reason_text
        endif
        use POLICY : PREEMPT_IF($(1))
        if defined WANT_HOLD
          WANT_HOLD = (JobUniverse != 1 && $($(1))) || $(WANT_HOLD)
        else
          WANT_HOLD = (JobUniverse != 1 && $($(1)))
        endif
        WANT_HOLD_SUBCODE = ifThenElse($($(1)), $(2) , $(WANT_HOLD_SUBCODE:UNDEFINED))
        WANT_HOLD_REASON = ifThenElse($($(1)), \"$(3+)\", $(WANT_HOLD_REASON:UNDEFINED))",
    ),
    policy(
        "STARTD_PUBLISH_CpusUsage",
        "CpusUsage = (CPUsUsage)
        STARTD_ATTRS = $(STARTD_ATTRS) CpusUsage",
    ),
    policy(
        "PREEMPT_IF_CPUS_EXCEEDED",
        "use POLICY : STARTD_PUBLISH_CpusUsage
        CPU_EXCEEDED = (CpusUsage > Cpus + 0.8)
        use POLICY : PREEMPT_IF(CPU_EXCEEDED)",
    ),
    policy(
        "HOLD_IF_CPUS_EXCEEDED",
        "use POLICY : STARTD_PUBLISH_CpusUsage
        CPU_EXCEEDED = (CpusUsage > Cpus + 0.8)
        HOLD_REASON_CPU_EXCEEDED = CPU usage exceeded request_cpus
        use POLICY : WANT_HOLD_IF(CPU_EXCEEDED, $(HOLD_SUBCODE_CPU_EXCEEDED:101), $(HOLD_REASON_CPU_EXCEEDED))",
    ),
    policy(
        "PREEMPT_IF_MEMORY_EXCEEDED",
        "MEMORY_EXCEEDED = (JobUniverse != 13 && MemoryUsage =!= UNDEFINED && MemoryUsage > Memory)
        use POLICY : PREEMPT_IF(MEMORY_EXCEEDED)",
    ),
    policy(
        "HOLD_IF_MEMORY_EXCEEDED",
        "MEMORY_EXCEEDED = (JobUniverse != 13 && MemoryUsage =!= UNDEFINED && MemoryUsage > Memory)
        HOLD_REASON_MEMORY_EXCEEDED = memory usage exceeded request_memory
        use POLICY : WANT_HOLD_IF(MEMORY_EXCEEDED, $(HOLD_SUBCODE_MEMORY_EXCEEDED:102), $(HOLD_REASON_MEMORY_EXCEEDED))",
    ),
    policy(
        "PREEMPT_IF_DISK_EXCEEDED",
        "DISK_EXCEEDED = (JobUniverse != 13 && DiskUsage =!= UNDEFINED && DiskUsage > Disk)
        use POLICY : PREEMPT_IF(DISK_EXCEEDED)",
    ),
    policy(
        "HOLD_IF_DISK_EXCEEDED",
        "DISK_EXCEEDED = (JobUniverse != 13 && DiskUsage =!= UNDEFINED && DiskUsage > Disk)
        HOLD_REASON_DISK_EXCEEDED = disk usage exceeded request_disk
        use POLICY : WANT_HOLD_IF(DISK_EXCEEDED, $(HOLD_SUBCODE_DISK_EXCEEDED:104), $(HOLD_REASON_DISK_EXCEEDED))",
    ),
    policy(
        "PREEMPT_IF_RUNTIME_EXCEEDS",
        "MAX_JOB_RUNTIME = $(1:24 * 60 * 60)
        PREEMPT_RUNTIME_EXCEEDS = (Activity == \"Busy\") && ((time() - EnteredCurrentActivity) > $(MAX_JOB_RUNTIME))
        use POLICY : PREEMPT_IF(PREEMPT_RUNTIME_EXCEEDS)",
    ),
    policy(
        "HOLD_IF_RUNTIME_EXCEEDS",
        "MAX_JOB_RUNTIME = $(1:24 * 60 * 60)
        HOLD_REASON_RUNTIME_EXCEEDS = job run time exceeded the limit of $(MAX_JOB_RUNTIME) seconds
        HOLD_RUNTIME_EXCEEDS = (Activity == \"Busy\") && ((time() - EnteredCurrentActivity) > $(MAX_JOB_RUNTIME))
        use POLICY : WANT_HOLD_IF(HOLD_RUNTIME_EXCEEDS, $(HOLD_SUBCODE_RUNTIME_EXCEEDS:103), $(HOLD_REASON_RUNTIME_EXCEEDS))",
    ),
    policy(
        "LIMIT_JOB_RUNTIMES",
        "MAX_JOB_RUNTIME = $(1:24 * 60 * 60)
        MaxJobRetirementTime = $(MAX_JOB_RUNTIME)
        PREEMPT = (Activity == \"Busy\") && ((time() - EnteredCurrentActivity) > $(MAX_JOB_RUNTIME))",
    ),
    policy(
        "DESKTOP",
        "use FEATURE : POLICY_EXPR_FRAGMENTS
        STARTD_LATCH_EXPRS = $(STARTD_LATCH_EXPRS) CpuBusy
        CpuBusyTimer = ifThenElse(CpuBusyTime =!= UNDEFINED, time() - CpuBusyTime, 0)
        WANT_SUSPEND = ($(KeyboardNotBusy) || $(CpuBusy)) && $(ActivationTimer) > 90
        WANT_VACATE = $(ActivationTimer) > 600
        SUSPEND = $(KeyboardBusy) || ($(CpuBusyTimer) > 120 && $(ActivationTimer) > 90)
        CONTINUE = $(CpuIdle) && (time() - EnteredCurrentActivity > 10) && KeyboardIdle > 300
        PREEMPT = (Activity == \"Suspended\" && time() - EnteredCurrentActivity > 600) || (SUSPEND && (WANT_SUSPEND == False))
        START = KeyboardIdle > 900 && ($(CpuIdle) || (State != \"Unclaimed\" && State != \"Owner\"))
        KILL = Activity == \"Vacating\" && time() - EnteredCurrentActivity > 600
        MaxJobRetirementTime = 0
        CLAIM_WORKLIFE = 1200
        if ! defined SLOTS_CONNECTED_TO_KEYBOARD
          SLOTS_CONNECTED_TO_KEYBOARD = 1024
        endif
        SLOTS_CONNECTED_TO_CONSOLE = $(SLOTS_CONNECTED_TO_KEYBOARD)
        IS_OWNER = START =?= False",
    ),
    policy(
        "DESKTOP_HOURS",
        "use FEATURE : POLICY_HOURS_TO_START($(1+))
        NonCondorLoadAvg = (LoadAvg - CondorLoadAvg)
        CpuBusy = ($(NonCondorLoadAvg) >= 0.5)
        STARTD_LATCH_EXPRS = $(STARTD_LATCH_EXPRS) CpuBusy
        CpuBusyTimer = ifThenElse(CpuBusyTime =!= UNDEFINED, time() - CpuBusyTime, 0)
        PREEMPT = $(NoJobsHours)
        START = $(RunJobsHours)
        WANT_SUSPEND = False
        WANT_VACATE = True
        SUSPEND = False
        CONTINUE = True
        KILL = False
        MaxJobRetirementTime = 0
        CLAIM_WORKLIFE = 1200
        SLOTS_CONNECTED_TO_KEYBOARD = 1024
        SLOTS_CONNECTED_TO_CONSOLE = 1024
        IS_OWNER = False",
    ),
    policy(
        "DESKTOP_IDLE",
        "if $(1?)
          use FEATURE : POLICY_HOURS_TO_START($(1+))
        else
          RunJobsHours = True
          NoJobsHours = False
        endif
        NonCondorLoadAvg = (LoadAvg - CondorLoadAvg)
        CpuBusy = ($(NonCondorLoadAvg) >= 0.5)
        CpuIdle = ($(NonCondorLoadAvg) <= 0.3)
        STARTD_LATCH_EXPRS = $(STARTD_LATCH_EXPRS) CpuBusy
        CpuBusyTimer = ifThenElse(CpuBusyTime =!= UNDEFINED, time() - CpuBusyTime, 0)
        PreemptKeyboardIdleTime = 60
        PreemptCpuBusyTime = 120
        PREEMPT = $(NoJobsHours) || KeyboardIdle < $(PreemptKeyboardIdleTime) || $(CpuBusyTimer) > $(PreemptCpuBusyTime)
        START = $(RunJobsHours) && KeyboardIdle > 900 && $(CpuIdle)
        WANT_SUSPEND = False
        WANT_VACATE = True
        SUSPEND = False
        CONTINUE = True
        KILL = False
        MaxJobRetirementTime = 0
        CLAIM_WORKLIFE = 1200
        SLOTS_CONNECTED_TO_KEYBOARD = 1024
        SLOTS_CONNECTED_TO_CONSOLE = 1024
        IS_OWNER = False",
    ),
    policy(
        "UWCS_DESKTOP",
        "use FEATURE : UWCS_DESKTOP_POLICY_VALUES
        WANT_SUSPEND = $(UWCS_WANT_SUSPEND)
        WANT_VACATE = $(UWCS_WANT_VACATE)
        SUSPEND = $(UWCS_SUSPEND)
        CONTINUE = $(UWCS_CONTINUE)
        PREEMPT = $(UWCS_PREEMPT)
        START = $(UWCS_START)
        KILL = $(UWCS_KILL)
        PERIODIC_CHECKPOINT = $(UWCS_PERIODIC_CHECKPOINT)
        PREEMPTION_REQUIREMENTS = $(UWCS_PREEMPTION_REQUIREMENTS)
        PREEMPTION_RANK = $(UWCS_PREEMPTION_RANK)
        NEGOTIATOR_PRE_JOB_RANK = $(UWCS_NEGOTIATOR_PRE_JOB_RANK)
        NEGOTIATOR_POST_JOB_RANK = $(UWCS_NEGOTIATOR_POST_JOB_RANK)
        MaxJobRetirementTime = $(UWCS_MaxJobRetirementTime)
        CLAIM_WORKLIFE = 1200
        SLOTS_CONNECTED_TO_KEYBOARD = 1024
        IS_OWNER = START =?= False",
    ),
    // A schedd's affair.
    policy(
        "OnlyRegisteredCheckpointDestinations",
        "TOOL_CLASSAD_USER_MAP_NAMES = $(TOOL_CLASSAD_USER_MAP_NAMES) checkpoint_destination_map
        SCHEDD_CLASSAD_USER_MAP_NAMES = $(SCHEDD_CLASSAD_USER_MAP_NAMES) checkpoint_destination_map
        CLASSAD_USER_MAPFILE_checkpoint_destination_map = $(CHECKPOINT_DESTINATION_MAPFILE)",
    ),
];
