//! Those who mean harm, and things gone wrong: each is refused in words a person understands, and nothing changes.

mod blobs;
mod callers;
mod journals;
mod metadata;
mod offers;
mod scenes;
mod tokens;
mod transfer;
