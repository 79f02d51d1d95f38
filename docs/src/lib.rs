//! The book on Outpost. Nothing but its snippets as tests: the chapters are the folder's Markdown files.
