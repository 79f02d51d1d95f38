//! The book on Outpost. Nothing but its snippets as tests: each chapter is a Markdown file in `chapters/`,
//! and each of its snippets in Rust is compiled, and run unless it needs a network.
//! `mdbook build docs` makes the pages.

/// Chapters whose snippets are tests.
macro_rules! chapters {
    ($($name:ident = $file:literal,)*) => {
        $(
            #[cfg(doctest)]
            #[doc = include_str!(concat!("../chapters/", $file))]
            struct $name;
        )*

        /// The files of the chapters, in their order.
        pub const CHAPTERS: &[&str] = &[$($file),*];
    };
}

chapters! {
    Start = "start.md",
    Submission = "submission.md",
    Direct = "direct.md",
    Results = "results.md",
    Tls = "tls.md",
    MtaSts = "mta-sts.md",
    Many = "many.md",
    Retries = "retries.md",
    Queue = "queue.md",
    Credentials = "credentials.md",
    Observing = "observing.md",
    Driver = "driver.md",
    Simulation = "simulation.md",
    Postfix = "postfix.md",
    Program = "program.md",
    Limits = "limits.md",
    ComingFrom = "coming-from.md",
}
