//! The ClassAd language of HTCondor: parser, evaluator, built-ins and printer.
