package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"
)

const pullHelp = `
Usage: licensectl pull [-keys FILE] [-fingerprint TEXT] [-revocations FILE] [-yes] [-json] URL -to PATH
       licensectl pull ... -url-file FILE -to PATH
       licensectl pull ... -watch INTERVAL URL -to PATH

Downloads the license from URL, a re-download link of the portal, verifies it and installs it at PATH as
"licensectl install" does, when it is not there already. Whoever holds the link may download the license, and every
user of a host can read command lines: on a shared host put the link into a file and give -url-file.

Only https is used, but for this host; redirects to other hosts are not followed; more than 64 KiB is not read.

With -watch it stays and asks again every INTERVAL (1s at least, like 1h) until it is stopped, for a container beside
the router. A try that fails is told on standard error and repeated, but for a link that no longer works: that ends it
with exit status 3. With -json it writes one object for each file that it installs.
`

const shortestWatch = time.Second

func pull(ctx context.Context, args []string, getenv func(string) string, out *output) error {
	flags := flag.NewFlagSet("pull", flag.ContinueOnError)
	var s settings
	s.register(flags)
	flags.BoolVar(&s.yes, "yes", false, "replace the installed license also by one that takes something away")
	linkFile := flags.String("url-file", "", "the `FILE` that holds the link, instead of URL")
	watch := flags.Duration("watch", 0, "ask again every `INTERVAL`")
	links, err := parse(flags, args, pullHelp, operands{0, 1, "one re-download link"}, out)
	if err != nil {
		return err
	}
	if (len(links) == 1) == (*linkFile != "") {
		return usagef("pull takes one re-download link, as URL or with -url-file: see licensectl pull -help")
	}
	if *watch != 0 && *watch < shortestWatch {
		return usagef("-watch must be %s at least", shortestWatch)
	}
	if err := s.finish(getenv); err != nil {
		return err
	}
	if *linkFile != "" {
		link, err := readSecret(*linkFile)
		if err != nil {
			return usagef("-url-file: %w", err)
		}
		links = []string{link}
	}
	d, err := newDownload("re-download link", links[0], requestTimeout)
	if err != nil {
		return err
	}
	if *watch == 0 {
		_, err := s.pullOnce(ctx, d, out)
		return err
	}
	return s.watch(ctx, d, *watch, getenv, out)
}

// pullOnce downloads, verifies and installs.
func (s *settings) pullOnce(ctx context.Context, d *download, out *output) (installed, error) {
	data, err := d.fetch(ctx)
	if err != nil {
		return installed{}, err
	}
	l, err := s.judge(data, time.Now())
	if err != nil {
		return installed{}, err
	}
	done, err := s.put(ctx, l, out)
	if err != nil {
		return installed{}, err
	}
	return done, out.object(done)
}

// watch pulls on the interval. Only what is new is told.
func (s *settings) watch(ctx context.Context, d *download, interval time.Duration, getenv func(string) string, out *output) error {
	quiet := &output{stdout: io.Discard, stderr: out.stderr}
	return repeat(ctx, interval, out.stderr, func() error {
		if err := s.load(getenv, time.Now()); err != nil { // keys and revocations may be new as well
			return err
		}
		done, err := s.pullOnce(ctx, d, quiet)
		if err != nil {
			return err
		}
		return out.installedNow(done)
	})
}

// repeat tries on the interval until ctx is done, which is its ordinary end, or an error is final.
func repeat(ctx context.Context, interval time.Duration, stderr io.Writer, try func() error) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	last := ""
	for {
		err := try()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, new(finalError)):
			return err
		case err != nil && err.Error() != last:
			fmt.Fprintf(stderr, "licensectl: %v\n", err) // once, not every interval
			last = err.Error()
		case err == nil:
			last = ""
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// installedNow tells of a file that a watch put in place.
func (o *output) installedNow(done installed) error {
	if !done.Changed {
		return nil
	}
	o.line("installed %s at %s", printable(done.LicenseID), done.Path)
	return o.final(done)
}

// final writes an object of a watch, which ends where nobody reads it.
func (o *output) final(value any) error {
	if err := o.object(value); err != nil {
		return finalError{err}
	}
	return nil
}
