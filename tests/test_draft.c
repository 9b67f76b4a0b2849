/* Files that appear whole or not at all. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/files/draft.h"
#include "src/precis.h"

/* Each test runs in an empty folder of its own. */
typedef struct folder {
  char path[64];
  int home; /* descriptor of where we came from */
} folder;

static int enter(void **state)
{
  folder *f = malloc(sizeof *f);
  strcpy(f->path, "/tmp/precis-draft-XXXXXX");
  DIR *here = opendir(".");
  f->home = here ? dup(dirfd(here)) : -1;
  closedir(here);
  *state = f;
  umask(022);
  return mkdtemp(f->path) == NULL || chdir(f->path) != 0;
}

static int count_files(void)
{
  DIR *here = opendir(".");
  int count = -2; /* . and .. */
  while (readdir(here) != NULL)
    count++;
  closedir(here);
  return count;
}

static int leave(void **state)
{
  folder *f = *state;
  DIR *here = opendir(".");
  for (struct dirent *entry; (entry = readdir(here)) != NULL;)
    if (unlink(entry->d_name) != 0)
      rmdir(entry->d_name);
  closedir(here);
  int failed = fchdir(f->home) != 0 || rmdir(f->path) != 0;
  close(f->home);
  free(f);
  return failed;
}

static void put(const char *path, const char *text, mode_t rights)
{
  FILE *file = fopen(path, "w");
  fputs(text, file);
  fclose(file);
  chmod(path, rights);
}

static int holds(const char *path, const char *text)
{
  char found[100] = "";
  FILE *file = fopen(path, "r");
  size_t length = file ? fread(found, 1, sizeof found - 1, file) : 0;
  if (file)
    fclose(file);
  return length == strlen(text) && strcmp(found, text) == 0;
}

static mode_t rights_of(const char *path)
{
  struct stat info;
  return stat(path, &info) == 0 ? info.st_mode & 0777 : 0;
}

static int is_link(const char *path)
{
  struct stat info;
  return lstat(path, &info) == 0 && S_ISLNK(info.st_mode);
}

static void write_whole(const char *path, const char *text)
{
  precis_draft draft;
  precis_message why = {""};
  if (precis_draft_create(path, &draft, &why) != PRECIS_SUCCESS)
    fail_msg("%s", why.text);
  assert_int_equal(precis_draft_reserve(&draft, (int64_t)strlen(text), &why), PRECIS_SUCCESS);
  assert_int_equal(precis_draft_write(&draft, text, (int64_t)strlen(text), 0, &why),
                   PRECIS_SUCCESS);
  assert_int_equal(precis_draft_commit(&draft, &why), PRECIS_SUCCESS);
  assert_null(draft.path);
  precis_draft_discard(&draft); /* nothing happens */
}

static void refused(const char *path, const char *says)
{
  precis_draft draft = {.rights = 4711};
  precis_message why = {""};
  assert_int_equal(precis_draft_create(path, &draft, &why), PRECIS_ERR_IO);
  assert_int_equal(draft.rights, 4711);
  if (strstr(why.text, path) != why.text || strstr(why.text, says) == NULL)
    fail_msg("\"%s\" does not say \"%s\"", why.text, says);
}

static void new_file(void **state)
{
  (void)state;
  precis_draft draft;
  precis_message why;
  assert_int_equal(precis_draft_create("new", &draft, &why), PRECIS_SUCCESS);
  assert_int_equal(access("new", F_OK), -1); /* not yet */
  precis_draft_discard(&draft);
  assert_int_equal(count_files(), 0);
  write_whole("new", "text");
  assert_true(holds("new", "text"));
  assert_int_equal(rights_of("new"), 0644);
  umask(027);
  write_whole("narrow", "");
  assert_int_equal(rights_of("narrow"), 0640);
  assert_int_equal(count_files(), 2);
}

static void old_file(void **state)
{
  (void)state;
  precis_draft draft;
  precis_message why;
  put("old", "before", 0600);
  assert_int_equal(precis_draft_create("old", &draft, &why), PRECIS_SUCCESS);
  assert_int_equal(precis_draft_write(&draft, "after", 5, 0, &why), PRECIS_SUCCESS);
  assert_int_equal(rights_of(draft.aside), 0600); /* never wider than in the end */
  assert_true(holds("old", "before"));
  precis_draft_discard(&draft);
  assert_true(holds("old", "before"));
  write_whole("old", "after");
  assert_true(holds("old", "after"));
  assert_int_equal(rights_of("old"), 0600);
  chmod("old", 0666);
  write_whole("old", "");
  assert_int_equal(rights_of("old"), 0666);
  assert_int_equal(count_files(), 1);
}

static void links_are_followed(void **state)
{
  const folder *f = *state;
  char absolute[128];
  snprintf(absolute, sizeof absolute, "%s/b/target", f->path);
  mkdir("b", 0777);
  assert_int_equal(symlink("b/target", "relative"), 0);
  assert_int_equal(symlink("../relative", "b/back"), 0);
  assert_int_equal(symlink("b/back", "chain"), 0);
  assert_int_equal(symlink(absolute, "absolute"), 0);
  write_whole("relative", "one"); /* led nowhere before */
  assert_true(holds("b/target", "one"));
  write_whole("chain", "two");
  assert_true(holds("b/target", "two"));
  write_whole("absolute", "three");
  assert_true(holds("b/target", "three"));
  assert_true(is_link("relative") && is_link("chain") && is_link("absolute") && is_link("b/back"));
  assert_int_equal(symlink("loop", "loop"), 0);
  refused("loop", strerror(ELOOP));
  unlink("b/target");
  unlink("b/back");
}

static void never_replaced(void **state)
{
  (void)state;
  mkdir("folder", 0777);
  assert_int_equal(mkfifo("pipe", 0666), 0);
  assert_int_equal(symlink("/dev/null", "null"), 0);
  assert_int_equal(symlink("folder", "to-folder"), 0);
  refused("folder", strerror(EISDIR));
  refused("to-folder", strerror(EISDIR));
  refused("pipe", "not a regular file");
  refused("null", "not a regular file");
  refused("/dev/full", "not a regular file");
  refused("missing/file", strerror(ENOENT));
  put("plain", "", 0644);
  refused("plain/file", strerror(ENOTDIR));
  if (geteuid() != 0) { /* root may do anything */
    put("guarded", "text", 0444);
    refused("guarded", strerror(EACCES));
    chmod("folder", 0555);
    refused("folder/file", strerror(EACCES));
    chmod("folder", 0755);
    unlink("guarded");
  }
  assert_int_equal(count_files(), 5);
}

static void names(void **state)
{
  (void)state;
  precis_draft first, second;
  precis_message why;
  assert_int_equal(precis_draft_create("same", &first, &why), PRECIS_SUCCESS);
  assert_int_equal(precis_draft_create("same", &second, &why), PRECIS_SUCCESS);
  assert_string_not_equal(first.aside, second.aside);
  assert_int_equal(precis_draft_commit(&first, &why), PRECIS_SUCCESS);
  precis_draft_discard(&second);
  assert_int_equal(count_files(), 1);
  char name[300];
  memset(name, 'x', 299);
  name[299] = '\0';
  refused(name, strerror(ENAMETOOLONG));
}

static void no_space(void **state)
{
  (void)state;
  precis_draft draft;
  precis_message why;
  /* More than any file system holds. */
  assert_int_equal(precis_draft_create("large", &draft, &why), PRECIS_SUCCESS);
  assert_int_equal(precis_draft_reserve(&draft, INT64_C(1) << 62, &why), PRECIS_ERR_IO);
  assert_non_null(strstr(why.text, "large: "));
  precis_draft_discard(&draft);
  /* A limit on the size of files fails like a disk that is full. */
  struct rlimit saved, low;
  void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
  getrlimit(RLIMIT_FSIZE, &saved);
  low = (struct rlimit){4096, saved.rlim_max};
  assert_int_equal(precis_draft_create("limited", &draft, &why), PRECIS_SUCCESS);
  setrlimit(RLIMIT_FSIZE, &low);
  int reserved = precis_draft_reserve(&draft, 10000, &why);
  int written = precis_draft_write(&draft, "text", 4, 4094, &why);
  setrlimit(RLIMIT_FSIZE, &saved);
  signal(SIGXFSZ, handler);
  assert_int_equal(reserved, PRECIS_ERR_IO);
  assert_int_equal(written, PRECIS_ERR_IO);
  assert_non_null(strstr(why.text, strerror(EFBIG)));
  precis_draft_discard(&draft);
  assert_int_equal(count_files(), 0);
}

/* The folder is gone when the file is to be put in place. */
static void failed_commit(void **state)
{
  (void)state;
  precis_draft draft;
  precis_message why;
  mkdir("folder", 0777);
  assert_int_equal(precis_draft_create("folder/file", &draft, &why), PRECIS_SUCCESS);
  assert_int_equal(unlink(draft.aside), 0);
  assert_int_equal(rmdir("folder"), 0);
  assert_int_equal(precis_draft_commit(&draft, &why), PRECIS_ERR_IO);
  assert_non_null(strstr(why.text, "folder/file: cannot be written: "));
  assert_null(draft.path);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, enter, leave)

/* What was left aside is found again under its name, and under no other. */
static void left_and_found(void **state)
{
  (void)state;
  precis_draft draft, again;
  precis_message why = {""};
  put("x", "old", 0640);
  assert_int_equal(precis_draft_create("./x", &draft, &why), PRECIS_SUCCESS);
  assert_int_equal(precis_draft_write(&draft, "new", 3, 0, &why), PRECIS_SUCCESS);
  char name[100];
  snprintf(name, sizeof name, "%s", precis_draft_name(draft.aside));
  precis_draft_leave(&draft);
  precis_draft_leave(&draft); /* nothing happens */
  assert_true(draft.path == NULL && holds("x", "old") && holds(name, "new"));
  put("y.1-0.part", "new", 0640);
  put("x.1-0.part.more", "new", 0640);
  assert_int_equal(symlink(name, "x.2-0.part"), 0);
  assert_int_equal(mkdir("x.3-0.part", 0777), 0);
  static const char *const others[] = {
      "x",         "x.part", "", "y.1-0.part", "x.1-0.part.more", "../x.1-0.part", "./x.1-0.part",
      "x.3-0.part"};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    assert_int_not_equal(precis_draft_reopen("x", others[i], -1, &again, &why), PRECIS_SUCCESS);
  assert_int_equal(precis_draft_reopen("x", "x.2-0.part", -1, &again, &why), PRECIS_ERR_IO);
  assert_int_equal(precis_draft_reopen("x", "x.4-0.part", -1, &again, &why), PRECIS_ERR_IO);
  assert_int_equal(precis_draft_reopen("x", name, 4, &again, &why), PRECIS_ERR_FORMAT);
  assert_int_equal(precis_draft_reopen("x", name, 3, &again, &why), PRECIS_SUCCESS);
  assert_int_equal(precis_draft_write(&again, "!", 1, 3, &why), PRECIS_SUCCESS);
  assert_int_equal(precis_draft_commit(&again, &why), PRECIS_SUCCESS);
  assert_true(holds("x", "new!") && rights_of("x") == 0640 && rights_of(name) == 0);
}

/* One that is kept survives a commit that fails. */
static void kept(void **state)
{
  (void)state;
  precis_draft draft;
  precis_message why = {""};
  char name[100];
  assert_int_equal(precis_draft_create("x", &draft, &why), PRECIS_SUCCESS);
  assert_int_equal(precis_draft_write(&draft, "new", 3, 0, &why), PRECIS_SUCCESS);
  snprintf(name, sizeof name, "%s", draft.aside);
  draft.kept = 1;
  assert_int_equal(mkdir("x", 0777), 0);
  assert_int_equal(precis_draft_commit(&draft, &why), PRECIS_ERR_IO);
  assert_true(draft.path == NULL && holds(name, "new"));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      IN_FOLDER(new_file),       IN_FOLDER(old_file),       IN_FOLDER(links_are_followed),
      IN_FOLDER(never_replaced), IN_FOLDER(names),          IN_FOLDER(no_space),
      IN_FOLDER(failed_commit),  IN_FOLDER(left_and_found), IN_FOLDER(kept),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
