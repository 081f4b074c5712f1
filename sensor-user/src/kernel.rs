//! The kernel side as userspace sees it: the only module that knows aya.
//!
//! [`support`] says whether a kernel can enforce, [`layout`] finds its fields, [`load`] brings the
//! programs in, [`Kernel`](load::Kernel) is what the rest of the crate holds, and [`adopt`] the one
//! that outlives its loader. Nothing here knows what a policy means: tables and ids come from
//! [`crate::policy`].

pub mod adopt;
pub mod error;
pub mod layout;
pub mod load;
pub mod maps;
pub mod object;
pub mod pins;
pub mod progress;
pub mod record;
pub mod rules;
pub mod support;
pub mod sys;
