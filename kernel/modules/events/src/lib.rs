//! Event objects: eventfd, timerfd, signalfd, epoll, pidfd.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

pub mod epoll;
pub mod eventfd;
pub mod pidfd;
pub mod signalfd;
pub mod timerfd;
