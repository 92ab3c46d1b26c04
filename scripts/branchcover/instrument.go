package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
)

// point is where an instrumented file reports: a condition, both of whose values are to be seen, or the start of a body.
type point struct {
	file, function string
	line           int
	text           string
	which          int // of the points with this text in this function, from 1
	body           bool
}

// instrumenter rewrites files so that each point reports under its number. Lines stay where they are.
//
// Bodies of functions and of loops over a range report, all others follow from the conditions: what stands after an if
// that returns is reached where its condition is false, a default where no case is true.
type instrumenter struct {
	counter string // import path of the package that counts
	points  []point
}

// file returns the source with its points reporting.
func (in *instrumenter) file(name string, source []byte) ([]byte, error) {
	files := token.NewFileSet()
	tree, err := parser.ParseFile(files, name, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	f := &fileEdits{in: in, files: files, name: name, source: source}
	for _, declaration := range tree.Decls {
		f.function = "-"
		if function, ok := declaration.(*ast.FuncDecl); ok {
			f.function = function.Name.Name
		}
		ast.Inspect(declaration, f.visit)
	}
	if len(f.edits) > 0 {
		f.insert(tree.Name.End(), 0, "; import branchcount "+strconv.Quote(in.counter))
	}
	return f.apply(), f.err
}

type fileEdits struct {
	in       *instrumenter
	files    *token.FileSet
	name     string
	source   []byte
	function string
	edits    []edit
	err      error
}

// edit replaces size bytes at offset. Of two at one offset the lower order goes first.
type edit struct {
	offset, size, order int
	text                string
}

func (f *fileEdits) visit(node ast.Node) bool {
	switch n := node.(type) {
	case *ast.FuncDecl:
		f.body(n.Body, "func")
	case *ast.FuncLit:
		f.body(n.Body, "func literal")
	case *ast.RangeStmt:
		f.body(n.Body, "for range "+f.text(n.X))
	case *ast.IfStmt:
		f.operand(n.Cond)
	case *ast.ForStmt:
		if n.Cond != nil {
			f.operand(n.Cond)
		}
	case *ast.BinaryExpr:
		if n.Op == token.LAND || n.Op == token.LOR {
			f.operand(n.X)
			f.operand(n.Y)
		}
	case *ast.SwitchStmt:
		f.choice(n)
	case *ast.TypeSwitchStmt:
		f.fail(n, "a type switch is not measured")
	}
	return true
}

// operand makes an expression report its value. The operands of && and || report their own, in their turn.
func (f *fileEdits) operand(e ast.Expr) {
	for {
		switch inner := e.(type) {
		case *ast.ParenExpr:
			e = inner.X
			continue
		case *ast.UnaryExpr:
			if inner.Op == token.NOT {
				e = inner.X
				continue
			}
		case *ast.BinaryExpr:
			if inner.Op == token.LAND || inner.Op == token.LOR {
				return
			}
		}
		break
	}
	f.report(e, "", f.text(e))
}

func (f *fileEdits) report(e ast.Expr, before, text string) {
	length := int(e.End() - e.Pos())
	f.insert(e.Pos(), -length, fmt.Sprintf("branchcount.At(%d, %s(", len(f.in.points), before))
	f.insert(e.End(), length, "))")
	f.point(e, text, false)
}

func (f *fileEdits) body(b *ast.BlockStmt, text string) {
	f.insert(b.Lbrace+1, 0, fmt.Sprintf("branchcount.At(%d, true);", len(f.in.points)))
	f.point(b, text, true)
}

func (f *fileEdits) point(n ast.Node, text string, body bool) {
	p := point{file: f.name, function: f.function, line: f.files.Position(n.Pos()).Line,
		text: strings.Join(strings.Fields(text), " "), which: 1, body: body}
	for _, before := range f.in.points {
		if before.file == p.file && before.function == p.function && before.text == p.text {
			p.which++
		}
	}
	f.in.points = append(f.in.points, p)
}

// choice makes the values of a switch's cases report. A switch over a value becomes one over comparisons with it.
func (f *fileEdits) choice(n *ast.SwitchStmt) {
	tag, compare := "", ""
	if n.Tag != nil {
		tag, compare = "branchTag", "branchTag == "
		name, plain := n.Tag.(*ast.Ident)
		switch {
		case plain:
			tag, compare = name.Name, name.Name+" == "
			f.edits = append(f.edits, edit{f.offset(n.Tag.Pos()), len(tag), 0, ""})
		case n.Init == nil:
			f.insert(n.Tag.Pos(), -len(f.source), "branchTag := ")
			f.insert(n.Tag.End(), len(f.source), ";")
		default:
			f.fail(n, "a switch with a statement before its value is not measured: give the value a name")
		}
	}
	for _, clause := range n.Body.List {
		for _, value := range clause.(*ast.CaseClause).List {
			if n.Tag == nil {
				f.operand(value)
			} else {
				f.report(value, compare, f.text(n.Tag)+" == "+f.text(value))
			}
		}
	}
}

func (f *fileEdits) insert(at token.Pos, order int, text string) {
	f.edits = append(f.edits, edit{f.offset(at), 0, order, text})
}

func (f *fileEdits) offset(at token.Pos) int { return f.files.Position(at).Offset }

func (f *fileEdits) text(e ast.Expr) string {
	return string(f.source[f.offset(e.Pos()):f.offset(e.End())])
}

func (f *fileEdits) fail(n ast.Node, reason string) {
	if f.err == nil {
		f.err = fmt.Errorf("%s: %s", f.files.Position(n.Pos()), reason)
	}
}

func (f *fileEdits) apply() []byte {
	slices.SortStableFunc(f.edits, func(a, b edit) int {
		if a.offset != b.offset {
			return a.offset - b.offset
		}
		return a.order - b.order
	})
	var out bytes.Buffer
	at := 0
	for _, e := range f.edits {
		out.Write(f.source[at:e.offset])
		out.WriteString(e.text)
		at = e.offset + e.size
	}
	out.Write(f.source[at:])
	return out.Bytes()
}
