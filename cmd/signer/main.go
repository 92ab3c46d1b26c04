// Command signer is the isolated process that holds the private keys, the webhook secret and the issuance log, and signs
// what evidence authorizes. It reaches no network and no database.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const usage = `usage:
  signer serve  -config FILE
  signer keygen -id ID -role license|revocation|log -out FILE (-passphrase-file FILE | -unencrypted)
  signer keys   -config FILE [-json]
  signer trust show  FILE
  signer trust check FILE (-config FILE | -root KEY ... -threshold N)
  signer trust sign  -key OPENSSH_PRIVATE_KEY FILE
  signer trust ring  FILE
  signer trust next  [-from FILE] -out FILE [changes, see -help]
  signer log init   -config FILE
  signer log verify -config FILE
  signer log show LICENSE -config FILE
  signer log restore -config FILE -from DIR [-signed-by VERIFIER_KEY]
`

// errUsage marks wrong use of the command line; what to do was printed already.
var errUsage = errors.New("wrong use")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, errUsage):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "signer:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) error {
	command, rest := next(args)
	switch command {
	case "serve":
		return serve(ctx, rest, stderr)
	case "keygen":
		return keygen(rest, stdout, stderr)
	case "keys":
		return keysShow(ctx, rest, stdout, stderr)
	case "trust":
		verb, rest := next(rest)
		switch verb {
		case "show":
			return trustShow(rest, stdout, stderr)
		case "check":
			return trustCheck(rest, stdout, stderr)
		case "sign":
			return trustSign(rest, stdout, stderr)
		case "ring":
			return trustRing(rest, stdout, stderr)
		case "next":
			return trustNext(rest, stdout, stderr)
		}
	case "log":
		verb, rest := next(rest)
		switch verb {
		case "init":
			return logInit(rest, stdout, stderr)
		case "verify":
			return logVerify(rest, stdout, stderr)
		case "show":
			return logShow(ctx, rest, stdout, stderr)
		case "restore":
			return logRestore(rest, stdout, stderr)
		}
	case "help", "-h", "-help", "--help":
		_, err := io.WriteString(stdout, usage)
		return err
	}
	_, _ = io.WriteString(stderr, usage)
	return errUsage
}

func next(args []string) (string, []string) {
	if len(args) == 0 {
		return "", nil
	}
	return args[0], args[1:]
}

// parse reads flags that stand before or after the files, and wants exactly that many files.
func parse(flags *flag.FlagSet, args []string, stderr io.Writer, files int) ([]string, error) {
	flags.SetOutput(stderr)
	var rest []string
	for {
		if err := flags.Parse(args); err != nil {
			return nil, errUsage
		}
		if args = flags.Args(); len(args) == 0 {
			break
		}
		rest, args = append(rest, args[0]), args[1:]
	}
	if len(rest) != files {
		_, _ = io.WriteString(stderr, usage)
		return nil, errUsage
	}
	return rest, nil
}
