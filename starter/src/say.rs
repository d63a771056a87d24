//! Printing that a closed or full output doesn't turn into a panic, as the standard macros do.

/// A line for the caller on standard output.
macro_rules! say {
    ($($words:tt)*) => {{
        use ::std::io::Write as _;
        // Nobody is left to tell that nobody listens.
        let _ = ::std::writeln!(::std::io::stdout(), $($words)*);
    }};
}

/// The same without an end of line.
macro_rules! say_part {
    ($($words:tt)*) => {{
        use ::std::io::Write as _;
        let _ = ::std::write!(::std::io::stdout(), $($words)*);
    }};
}

/// A line for the caller on standard error.
macro_rules! complain {
    ($($words:tt)*) => {{
        use ::std::io::Write as _;
        let _ = ::std::writeln!(::std::io::stderr(), $($words)*);
    }};
}

/// The same without an end of line.
macro_rules! complain_part {
    ($($words:tt)*) => {{
        use ::std::io::Write as _;
        let _ = ::std::write!(::std::io::stderr(), $($words)*);
    }};
}
