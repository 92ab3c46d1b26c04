// Command bench measures the product against its limits, both in the same run, and prints the ratios.
//
// Machines differ and are noisy, so no figure stands alone: each row runs our code and a peer in turns and compares the
// medians. The peer is the least that could do the same work, such as the bare signature check inside reading a license,
// or pgbench inserting one row. Whether a goal is met is information; the exit status does not depend on it.
//
//	bench [-run REGEXP] [-rounds N] [-span DURATION] [-quick] [-records N] [-cpuprofile FILE]
//
// It needs PostgreSQL's server programs, pgbench among them, and starts what it measures by itself: a durable cluster, and
// the signer as a process of its own (this program again, as "bench signer DIRECTORY").
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime/pprof"
	"syscall"
	"time"
)

// row measures one promise; a row may print several lines.
type row struct {
	name    string
	measure func(context.Context, *lab) ([]result, error)
}

var rows = []row{
	{"verify", verify}, {"admission", admission}, {"signer", signing}, {"signer-start", starting}, {"webhook", webhook}, {"paid", paid}, {"pages", pages},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	if len(args) == 2 {
		switch args[0] {
		case "signer":
			return serveSigner(ctx, args[1], stdin, stdout)
		case "prototype":
			return servePrototype(ctx, args[1], stdin, stdout)
		}
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	pattern := flags.String("run", "", "measure only the rows whose names match this expression")
	rounds := flags.Int("rounds", 5, "how often each side runs, in turns")
	span := flags.Duration("span", 2*time.Second, "how long one side runs at a time, 1s at least")
	quick := flags.Bool("quick", false, "three rounds of a second: whether it works, not how fast it is")
	records := flags.Int("records", 100_000, "how many records the log holds that a signer is started on")
	profile := flags.String("cpuprofile", "", "write what this process, portal and callers, spends its time on to this file")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, err := regexp.Compile(*pattern)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	if *quick {
		*rounds, *span = 3, time.Second
	}
	if *rounds < 1 || *records < 1 || *span < time.Second || flags.NArg() > 0 {
		return errors.New("-rounds and -records must be at least 1, -span at least 1s, and nothing else is taken; see -help")
	}
	if *profile != "" {
		file, err := os.Create(*profile)
		if err != nil {
			return err
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	return measureAll(ctx, chosen, lab{rounds: *rounds, span: *span, records: *records, stderr: stderr}, stdout)
}

func measureAll(ctx context.Context, chosen *regexp.Regexp, settings lab, stdout io.Writer) (err error) {
	l, err := openLab(settings)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	var results []result
	for _, r := range rows {
		if !chosen.MatchString(r.name) {
			continue
		}
		fmt.Fprintln(l.stderr, "measuring", r.name)
		more, err := r.measure(ctx, l)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		results = append(results, more...)
	}
	return printTable(stdout, results)
}
