// Package migrations embeds the numbered SQL that makes the portal's schema. A migration that was released is never
// edited: a change is a new number.
package migrations

import "embed"

// FS holds the migrations, NNNN_name.up.sql and NNNN_name.down.sql.
//
//go:embed *.sql
var FS embed.FS
