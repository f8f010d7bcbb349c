// Package backup keeps copies of an application in directories: files of records that are checked block by block, and
// a manifest, written last, that names them with their sums. A directory without its manifest is no backup.
//
//	manifest.go  what a backup is of, and its files;  segment.go: the format of a file;  dir.go: writing and opening a backup
//
// What is damaged, cut off or exchanged is found and named by file and offset before anything is restored from it. The
// sums are no signature: who may write to the directory can make another valid backup.
package backup
