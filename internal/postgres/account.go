package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/metrum-ai/licensing-portal/internal/account"
)

// SignInQueue enqueues the mail of a sign-in inside the transaction that stores it. Queue has it.
type SignInQueue interface {
	EnqueueSignInMail(ctx context.Context, tx pgx.Tx, signInID string) error
}

// Accounts keeps organizations, users and sign-ins. It implements account.SignIns and account.Organizations.
type Accounts struct {
	database
	queue SignInQueue
}

// NewAccounts keeps accounts in the database behind pool; queue takes the mails of sign-ins.
func NewAccounts(pool *pgxpool.Pool, queue SignInQueue) *Accounts {
	return &Accounts{database: database{pool}, queue: queue}
}

// CreateSignIn stores r and enqueues its mail, both or neither.
func (a *Accounts) CreateSignIn(ctx context.Context, r account.Record) error {
	return a.inTx(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO sign_ins (id, email, browser_hash, return_to, created_at, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6)`,
			r.ID, r.Email, r.BrowserHash, r.ReturnTo, r.CreatedAt, r.ExpiresAt)
		if err != nil {
			return fmt.Errorf("insert sign-in: %w", err)
		}
		return a.queue.EnqueueSignInMail(ctx, tx, r.ID)
	})
}

// SignIn answers a sign-in, or account.ErrLinkUnknown.
func (a *Accounts) SignIn(ctx context.Context, id string) (account.Record, error) {
	var r account.Record
	var usedAt *time.Time
	err := a.QueryRow(ctx, `
		SELECT id, email, browser_hash, return_to, tries, created_at, expires_at, used_at
		FROM sign_ins WHERE id = $1`, id).
		Scan(&r.ID, &r.Email, &r.BrowserHash, &r.ReturnTo, &r.Tries, &r.CreatedAt, &r.ExpiresAt, &usedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return account.Record{}, account.ErrLinkUnknown
	}
	if err != nil {
		return account.Record{}, fmt.Errorf("select sign-in: %w", err)
	}
	r.CreatedAt, r.ExpiresAt = r.CreatedAt.UTC(), r.ExpiresAt.UTC()
	if usedAt != nil {
		r.UsedAt = usedAt.UTC()
	}
	return r, nil
}

// CountTry takes a try, in one statement, so that tries at the same time are counted one by one.
func (a *Accounts) CountTry(ctx context.Context, id string, browserHash []byte, now time.Time) (int, error) {
	var taken int
	err := a.QueryRow(ctx, `
		UPDATE sign_ins SET tries = tries + 1
		WHERE id = $1 AND browser_hash = $2 AND used_at IS NULL AND expires_at > $3 AND tries < $4
		RETURNING tries`, id, browserHash, now, account.MaxCodeTries).Scan(&taken)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("count try: %w", err)
	}
	return taken, nil
}

// SpendSignIn uses up a sign-in and finds or makes its user, in one statement: of two at the same time one spends it.
func (a *Accounts) SpendSignIn(ctx context.Context, id string, browserHash []byte, now time.Time, newUserID string) (account.User, bool, error) {
	var u account.User
	err := a.QueryRow(ctx, `
		WITH spent AS (
			UPDATE sign_ins SET used_at = $3
			WHERE id = $1 AND browser_hash = $2 AND used_at IS NULL AND expires_at > $3
			RETURNING email
		)
		INSERT INTO users (id, email, created_at, last_sign_in_at)
		SELECT $4, email, $3, $3 FROM spent
		ON CONFLICT (email) DO UPDATE SET last_sign_in_at = excluded.last_sign_in_at
		RETURNING id, email`, id, browserHash, now, newUserID).Scan(&u.ID, &u.Email)
	if errors.Is(err, pgx.ErrNoRows) {
		return account.User{}, false, nil
	}
	if err != nil {
		return account.User{}, false, fmt.Errorf("spend sign-in: %w", err)
	}
	return u, true, nil
}

// Memberships answers a user and their organizations, oldest first, or account.ErrUserUnknown.
func (a *Accounts) Memberships(ctx context.Context, userID string) (account.User, []account.Membership, error) {
	rows, err := a.Query(ctx, `
		SELECT u.id, u.email, o.id, o.name, o.created_at, m.role
		FROM users u
		LEFT JOIN memberships m ON m.user_id = u.id
		LEFT JOIN organizations o ON o.id = m.organization_id
		WHERE u.id = $1
		ORDER BY o.created_at, o.id`, userID)
	if err != nil {
		return account.User{}, nil, fmt.Errorf("select memberships: %w", err)
	}
	defer rows.Close()
	var user account.User
	var memberships []account.Membership
	for rows.Next() {
		var id, name, role *string
		var createdAt *time.Time
		if err := rows.Scan(&user.ID, &user.Email, &id, &name, &createdAt, &role); err != nil {
			return account.User{}, nil, fmt.Errorf("scan membership: %w", err)
		}
		if id == nil { // the user belongs to nothing yet
			continue
		}
		memberships = append(memberships, account.Membership{
			Organization: account.Organization{ID: *id, Name: *name, CreatedAt: createdAt.UTC()},
			Role:         account.Role(*role),
		})
	}
	if err := rows.Err(); err != nil {
		return account.User{}, nil, fmt.Errorf("select memberships: %w", err)
	}
	if user.ID == "" {
		return account.User{}, nil, account.ErrUserUnknown
	}
	return user, memberships, nil
}

// CreateOrganization stores an organization and its owner, or answers the one that the same form made; it errors with
// account.ErrUserUnknown. The owner's row is locked, so that two clicks at once follow one another.
func (a *Accounts) CreateOrganization(ctx context.Context, o account.Organization, userID string) (account.Organization, error) {
	err := a.inTx(ctx, func(tx pgx.Tx) error {
		var there bool
		err := tx.QueryRow(ctx, "SELECT true FROM users WHERE id = $1 FOR UPDATE", userID).Scan(&there)
		if errors.Is(err, pgx.ErrNoRows) {
			return account.ErrUserUnknown
		}
		if err != nil {
			return fmt.Errorf("lock user: %w", err)
		}
		err = tx.QueryRow(ctx, `
			SELECT o.id, o.created_at FROM organizations o JOIN memberships m ON m.organization_id = o.id
			WHERE m.user_id = $1 AND m.role = $2 AND o.name = $3 AND o.created_at > $4`,
			userID, account.RoleOwner, o.Name, o.CreatedAt.Add(-account.SameForm)).Scan(&o.ID, &o.CreatedAt)
		if !errors.Is(err, pgx.ErrNoRows) {
			o.CreatedAt = o.CreatedAt.UTC()
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO organizations (id, name, created_at) VALUES ($1, $2, $3)`,
			o.ID, o.Name, o.CreatedAt); err != nil {
			return fmt.Errorf("insert organization: %w", err)
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO memberships (organization_id, user_id, role, created_at) VALUES ($1, $2, $3, $4)`,
			o.ID, userID, account.RoleOwner, o.CreatedAt)
		return err
	})
	if err != nil {
		return account.Organization{}, fmt.Errorf("create organization: %w", err)
	}
	return o, nil
}

// DeleteSignIns forgets the sign-ins that expired before a time and answers how many. Keep them for a while, so that an old
// link is told from an unknown one.
func (a *Accounts) DeleteSignIns(ctx context.Context, expiredBefore time.Time) (int64, error) {
	tag, err := a.Exec(ctx, `DELETE FROM sign_ins WHERE expires_at < $1`, expiredBefore)
	if err != nil {
		return 0, fmt.Errorf("delete sign-ins: %w", err)
	}
	return tag.RowsAffected(), nil
}
