//! The engine behind `picket`: policies, the kernel side, agents and events.
