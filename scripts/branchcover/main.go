// Branchcover runs packages' tests and holds the branches that they do not take against a list of those that were
// argued about. It fails for a branch that the list lacks, and for a row that is no longer true.
//
//	branchcover -dir license -known license/COVERAGE.md . ./internal/regular
//
// A branch is a truth value of a condition (of an if, a for, every operand of && and ||, and every value of a case), or
// the body of a function or of a loop over a range. go test -cover counts statements, and so does not tell a condition
// that is true in every test.
//
// The packages are measured in an instrumented copy that the go command lays over them; no file of theirs changes.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "branchcover:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("branchcover", flag.ContinueOnError)
	flags.SetOutput(stderr)
	dir := flags.String("dir", ".", "the folder of the module")
	known := flags.String("known", "", "the Markdown file whose table lists the branches that are argued about")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 || *known == "" {
		return errors.New("use: branchcover -dir MODULE -known LIST.md PACKAGE [PACKAGE...]")
	}
	list, err := os.ReadFile(*known)
	if err != nil {
		return err
	}
	m, err := measure(*dir, flags.Args(), stderr)
	if err != nil {
		return err
	}
	problems := compare(m.missed, string(list))
	for _, problem := range problems {
		fmt.Fprintln(stdout, problem)
	}
	fmt.Fprintf(stdout, "%d conditions and bodies in %d files, %d branches not taken\n", m.points, m.files, len(m.missed))
	if len(problems) > 0 {
		return fmt.Errorf("%d differences from %s", len(problems), *known)
	}
	return nil
}

// A row says that a branch is never taken, or seldom: by luck, where two goroutines meet.
const never, seldom = "` never ", "` seldom "

// compare returns how the branches that were not taken differ from the rows of the list.
func compare(missed []branch, list string) []string {
	var problems []string
	rows := make(map[string]bool) // the rows' first two cells: whether the row is in order
	for line := range strings.Lines(list) {
		if cells := strings.SplitAfterN(strings.ReplaceAll(line, `\|`, "\x00"), "|", 4); len(cells) == 4 && strings.HasPrefix(line, "| `") {
			row := strings.ReplaceAll(strings.Join(cells[:3], ""), "\x00", `\|`)
			rows[strings.Replace(row, seldom, never, 1)] = strings.Contains(row, seldom)
		}
	}
	for _, b := range missed {
		if _, listed := rows[b.row()]; !listed {
			problems = append(problems, fmt.Sprintf("not taken and not listed, line %d: %s", b.line, b.row()))
		}
		rows[b.row()] = true
	}
	for row, good := range rows {
		if !good {
			problems = append(problems, "listed, but taken or gone: "+row)
		}
	}
	slices.Sort(problems)
	return problems
}

// branch is one that no test took.
type branch struct {
	point
	never string // "true", "false" or "reached"
}

// row is how the list names the branch: the first two cells of a row of a Markdown table.
func (b branch) row() string {
	which := ""
	if b.which > 1 {
		which = fmt.Sprintf(" (%d)", b.which)
	}
	return fmt.Sprintf("| `%s` %s%s | `%s%s%s |", b.file, b.function, which, strings.ReplaceAll(b.text, "|", `\|`), never, b.never)
}
