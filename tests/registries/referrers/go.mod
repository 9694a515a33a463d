module imgcopy/tests/referrers

// As old as Debian 12's, so that its compiler will do.
go 1.18

require github.com/google/go-containerregistry v0.20.2
