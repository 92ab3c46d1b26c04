package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

// help is what a command says of itself when it is asked with -h. As an error it ends the command before anything is
// opened.
type help string

func (h help) Error() string { return string(h) }

// newFlags is the flag set of a command; use is how the command is written, as -h prints it.
func newFlags(use string) *flag.FlagSet {
	flags := flag.NewFlagSet(use, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	return flags
}

// parse reads flags, and refuses what stands after them. Its error is a help or wraps errUsage.
func parse(flags *flag.FlagSet, args []string) error {
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		var b strings.Builder
		fmt.Fprintf(&b, "usage: portal %s\n", flags.Name())
		flags.SetOutput(&b)
		flags.PrintDefaults()
		return help(b.String())
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	return noArguments(flags.Args())
}

// noArguments refuses anything after a command that takes nothing.
func noArguments(args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%w: unexpected %q", errUsage, args[0])
	}
	return nil
}

// asksForHelp says whether args are nothing but the question what there is.
func asksForHelp(args []string) bool {
	return len(args) == 1 && slices.Contains([]string{"-h", "-help", "--help"}, args[0])
}
