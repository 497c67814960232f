//! The spine end to end: what must work, what must be refused, and what must survive.

#![cfg(test)]

mod the_loop;
