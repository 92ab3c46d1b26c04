package keys

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"io"

	"golang.org/x/crypto/scrypt"
)

// PBES2 of PKCS #5 (RFC 8018, sections 6.2 and A.4) with scrypt (RFC 7914, section 7) or PBKDF2 over SHA-256 or SHA-512,
// and AES in CBC mode: what OpenSSL 1.1 and later write. It is here because what is read decides how much memory and time
// a start takes, and a torn file must be refused without a panic.

var (
	oidPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidScrypt = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11}
	oidSHA256 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}  // as HMAC
	oidSHA512 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 11} // as HMAC
	oidAES128 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 2}
	oidAES192 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 22}
	oidAES256 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
)

// What is written: the passphrase is long and made by a machine (see minPassphrase), so it needs no slow derivation, which
// would make every start slow. What is read: no more work than maxIterations, no more memory than maxMemory.
const (
	iterations    = 20_000
	saltSize      = 16
	maxIterations = 10_000_000
	maxMemory     = 64 << 20
)

type encryptedKey struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

type pbes2Params struct{ KDF, Cipher pkix.AlgorithmIdentifier }

type pbkdf2Params struct {
	Salt       []byte
	Iterations int
	KeyLength  int                      `asn1:"optional"`
	PRF        pkix.AlgorithmIdentifier `asn1:"optional"` // SHA-1 where absent
}

type scryptParams struct {
	Salt      []byte
	N, R, P   int
	KeyLength int `asn1:"optional"`
}

var (
	errEncryption = errors.New("encrypted in a way that this signer does not read; write it anew with: openssl pkcs8 -topk8 -scrypt")
	errPassphrase = errors.New("does not decrypt with this passphrase")
)

// decrypt opens an EncryptedPrivateKeyInfo and returns the PKCS#8 in it.
func decrypt(der, passphrase []byte) ([]byte, error) {
	var key encryptedKey
	var params pbes2Params
	if unmarshal(der, &key) != nil || !key.Algorithm.Algorithm.Equal(oidPBES2) || unmarshal(key.Algorithm.Parameters.FullBytes, &params) != nil {
		return nil, errEncryption
	}
	var iv []byte
	size := map[string]int{oidAES128.String(): 16, oidAES192.String(): 24, oidAES256.String(): 32}[params.Cipher.Algorithm.String()]
	if size == 0 || unmarshal(params.Cipher.Parameters.FullBytes, &iv) != nil || len(iv) != aes.BlockSize {
		return nil, errEncryption
	}
	secret, err := derive(params.KDF, passphrase, size)
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	block, err := aes.NewCipher(secret)
	if err != nil || len(key.Data) == 0 || len(key.Data)%aes.BlockSize != 0 {
		return nil, errEncryption
	}
	plain := make([]byte, len(key.Data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, key.Data)
	padding := int(plain[len(plain)-1])
	if padding == 0 || padding > aes.BlockSize || !bytes.HasSuffix(plain, bytes.Repeat([]byte{byte(padding)}, padding)) {
		return nil, errPassphrase
	}
	return plain[:len(plain)-padding], nil
}

// derive makes the cipher's key of size bytes from the passphrase.
func derive(kdf pkix.AlgorithmIdentifier, passphrase []byte, size int) ([]byte, error) {
	switch {
	case kdf.Algorithm.Equal(oidPBKDF2):
		var p pbkdf2Params
		if unmarshal(kdf.Parameters.FullBytes, &p) != nil || p.Iterations < 1 || p.Iterations > maxIterations || p.KeyLength != 0 && p.KeyLength != size {
			return nil, errEncryption
		}
		switch {
		case !bytes.Equal(p.PRF.Parameters.FullBytes, asn1.NullBytes):
			return nil, errEncryption
		case p.PRF.Algorithm.Equal(oidSHA256):
			return pbkdf2.Key(sha256.New, string(passphrase), p.Salt, p.Iterations, size)
		case p.PRF.Algorithm.Equal(oidSHA512):
			return pbkdf2.Key(sha512.New, string(passphrase), p.Salt, p.Iterations, size)
		}
	case kdf.Algorithm.Equal(oidScrypt):
		var p scryptParams
		if unmarshal(kdf.Parameters.FullBytes, &p) != nil || p.KeyLength != 0 && p.KeyLength != size || !bounded(p) {
			return nil, errEncryption
		}
		secret, err := scrypt.Key(passphrase, p.Salt, p.N, p.R, p.P, size)
		if err != nil {
			return nil, errEncryption
		}
		return secret, nil
	}
	return nil, errEncryption
}

// bounded keeps scrypt's memory, 128·N·r, and its work within bounds.
func bounded(p scryptParams) bool {
	return p.N > 1 && p.R > 0 && p.P > 0 && p.R <= 64 && p.P <= 16 && p.N <= maxMemory/128/p.R
}

// encrypt makes an EncryptedPrivateKeyInfo with PBKDF2 over SHA-256 and AES-256.
func encrypt(pkcs8, passphrase []byte, random io.Reader) ([]byte, error) {
	salt, iv := make([]byte, saltSize), make([]byte, aes.BlockSize)
	if _, err := io.ReadFull(random, salt); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(random, iv); err != nil {
		return nil, err
	}
	secret, err := pbkdf2.Key(sha256.New, string(passphrase), salt, iterations, 32)
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	padding := aes.BlockSize - len(pkcs8)%aes.BlockSize
	data := append(bytes.Clone(pkcs8), bytes.Repeat([]byte{byte(padding)}, padding)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(data, data)
	kdf, kdfErr := algorithm(oidPBKDF2, pbkdf2Params{salt, iterations, 0, pkix.AlgorithmIdentifier{Algorithm: oidSHA256, Parameters: asn1.NullRawValue}})
	aes256, cipherErr := algorithm(oidAES256, iv)
	pbes2, err := algorithm(oidPBES2, pbes2Params{kdf, aes256})
	if err := errors.Join(kdfErr, cipherErr, err); err != nil {
		return nil, err
	}
	return asn1.Marshal(encryptedKey{pbes2, data})
}

func algorithm(oid asn1.ObjectIdentifier, params any) (pkix.AlgorithmIdentifier, error) {
	text, err := asn1.Marshal(params)
	return pkix.AlgorithmIdentifier{Algorithm: oid, Parameters: asn1.RawValue{FullBytes: text}}, err
}

// unmarshal takes no trailing bytes.
func unmarshal(der []byte, to any) error {
	rest, err := asn1.Unmarshal(der, to)
	if err == nil && len(rest) != 0 {
		err = errEncryption
	}
	return err
}
