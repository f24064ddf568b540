//! The order in which locks nest. A thread that holds a lock of one rank takes only locks of a higher rank.
//!
//! | rank | lock |
//! |---|---|
//! | 1 | task tree (`task::TREE`): parents, children, process groups, sessions |
//! | 2 | address space (`mm::Mm`) |
//! | 3 | descriptor table (`fd::FdTable`) |
//! | 4 | directory and inode locks of file systems: parent before child |
//! | 5 | objects behind descriptors (pipe, socket, terminal, epoll); sockets: by address |
//! | 6 | signal state of a process (`signal::SigHand`, pending queues) |
//! | 7 | wait queues; the ready list of an epoll, inside the queue that wakes it; that epoll's own queue inside the list (epolls watch each other without loops, so the nesting ends) |
//! | 8 | timers, RAM frames, allocator |
//!
//! No lock is held while sleeping, and none below rank 4 is held across a host call that can block.
//! Checked by review only so far (docs/reference/rules.md says "not checked").
