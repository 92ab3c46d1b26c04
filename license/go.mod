module github.com/metrum-ai/licensing-portal/license

go 1.24.0
