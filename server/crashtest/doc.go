// Package crashtest kills the server and looks what is left. Its tests run the real binary as a child, let workers create, update,
// rotate and delete tokens in it at the same time, end it with SIGKILL at a random moment, and start it again on the same files.
//
// Each worker owns its tokens and so knows exactly what must be there: whatever was answered, and of the one change whose answer
// did not come, all or nothing, its event in the audit trail included. The file must be sound besides. The first start of
// a new database is killed as well. "checks can fail" shows that the checks find what they are there for.
//
// SIGKILL takes away the process and leaves the machine: what the kernel has taken over is not lost. This is no test of power cuts.
//
// TestPostgresReplicas does the like to what several servers stand on. It kills the primary of a PostgreSQL, or lets its machine vanish,
// and promotes the synchronous standby; cuts servers off from their database; takes notifications away; starts servers together; and
// replaces them by those of another version. The world, its workers and the look at what is left are the same: what differs is where
// the servers are, and what strikes them.
//
// CRASH_CYCLES sets how often the server is killed under load, FAILOVER_CYCLES how often a primary is. CRASH_SEED repeats the choices of a run, though not its timing.
package crashtest
