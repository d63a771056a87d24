//! condor_tail: what the owner of a job wants to see of its output while it runs.
