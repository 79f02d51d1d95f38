//! The types of tables that Postfix has, and their way from the text of a parameter. What decisions
//! need of tables is one level up: nothing there names a type of table or a file.

mod bracket;
mod cidr;
mod fixed;
mod inline;
mod lines;
mod lists;
mod octets;
mod open;
mod pattern_file;
mod patterns;
mod pcre;
mod pipe;
#[cfg(test)]
mod properties;
mod rand;
mod regexp;
mod rules;
mod static_map;
mod texthash;
mod union;

pub use open::{TableContext, open, open_in};
