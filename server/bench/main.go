// Command bench measures tokenwire beside what people would use in its place, and writes one table of ratios with a plot.
//
// Absolute numbers say more about the machine than about the server. So everything is measured in turns, in the same run on
// the same machine: in each round every server answers the same kind of call for less than a second, the ratio is taken
// within the round, and the table shows the median of the rounds with its spread.
//
// It is run by make bench, from the root of the repository. The servers are processes of their own on 127.0.0.1; some of them are
// subcommands of this program.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

type cli struct {
	Run      runCmd      `cmd:"" default:"withargs" help:"Measure everything."`
	Profile  profileCmd  `cmd:"" help:"Say where the time of one kind of call goes, and keep its CPU profile."`
	Readme   readmeCmd   `cmd:"" help:"Print the README's table of what the last run has written."`
	Bare     bareCmd     `cmd:"" help:"Serve the bare Echo handlers."`
	Stock    stockCmd    `cmd:"" help:"Serve what oapi-codegen and kin-openapi's middleware make of the contract, without a database."`
	Profiled profiledCmd `cmd:"" help:"Serve tokenwire under a profiler."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that a second signal ends the process at once
	var arguments cli
	command := kong.Parse(&arguments, kong.Name("bench"), kong.Vars{"profiles": profileNames()}, kong.BindTo(ctx, (*context.Context)(nil)))
	if err := command.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
