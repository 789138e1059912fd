//! SIP messages: the bytes of one message in, borrowed fields out.
