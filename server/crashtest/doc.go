// Package crashtest kills the server and looks what is left. Its tests run the real binary as a child, let workers create, update,
// rotate and delete tokens in it at the same time, end it with SIGKILL at a random moment, and start it again on the same files.
//
// Each worker owns its tokens and so knows exactly what must be there: whatever was answered, and of the one change whose answer
// did not come, all or nothing, its event in the audit trail included. The file must be sound besides. The first start of
// a new database is killed as well. "checks can fail" shows that the checks find what they are there for.
//
// SIGKILL takes away the process and leaves the machine: what the kernel has taken over is not lost. This is no test of power cuts.
//
// CRASH_CYCLES sets how often the server is killed under load. CRASH_SEED repeats the choices of a run, though not its timing.
package crashtest
