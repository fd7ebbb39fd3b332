"""Sources in git: the only code that runs git. A branch is looked up each time, since it is meant to move."""

from __future__ import absolute_import, division, print_function

import contextlib
import os
import re
import shutil

from ansible.module_utils.lab_build import (
    LabError,
    building,
    finished,
    key_of,
    make_directory,
    output_of,
    run_step,
    sha256_file,
    write_json,
)

_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_PLAIN_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./@{}^~+-]*")


def parse_repository(argument):
    """Return (repository, ref) of REPOSITORY#REF, HEAD where no ref is named; LabError for what is no ref."""
    repository, hash_sign, ref = argument.rpartition("#")
    if not hash_sign:
        repository, ref = argument, "HEAD"
    # What begins with a hyphen would be an option of git.
    if not repository or repository.startswith("-") or not _PLAIN_REF.fullmatch(ref):
        raise LabError("git:%s names no repository and ref" % argument, fix="write git:REPOSITORY#BRANCH_TAG_OR_COMMIT")
    return repository, ref


def located(repository, base):
    """Return a repository as git finds it from any directory: URLs stay, paths become absolute."""
    if re.match(r"[a-z][a-z0-9+.-]*://", repository) or re.match(r"[\w.-]+@[\w.-]+:", repository):
        return repository
    if os.path.isabs(repository):
        return repository
    if base is None:
        raise LabError(
            "git:%s is relative, which only means something on the control machine" % repository,
            fix="write the whole path of the repository on the host, or its URL",
        )
    return os.path.normpath(os.path.join(base, repository))


def _git(arguments):
    if shutil.which("git") is None:
        raise LabError("git is not installed", fix="let the play install it (become), or install it by hand")
    # Nobody is there to answer a question for a password.
    return output_of(["env", "GIT_TERMINAL_PROMPT=0", "git", *arguments])


def _bring(bare, repository, ref):
    """Bring a ref into a bare repository and return the commit it stands for there now."""
    if not os.path.isdir(bare):
        _git(["init", "-q", "--bare", bare])
    if _COMMIT.fullmatch(ref):
        with contextlib.suppress(LabError):  # not there yet
            return _commit(bare, ref)
    try:
        _git(["-C", bare, "fetch", "-q", "--no-tags", "--depth=1", repository, ref])
        return _commit(bare, "FETCH_HEAD")
    except LabError as failure:
        if not _COMMIT.match(ref):
            raise LabError(
                "%s of %s cannot be fetched: %s" % (ref, repository, failure.what),
                fix="check the repository and the ref: git ls-remote %s" % repository,
            ) from failure
    # Not every server hands out a commit by its name: then all that its branches and tags lead to is brought.
    whole = bare + ".whole"
    if not os.path.isdir(whole):
        _git(["init", "-q", "--bare", whole])
    _git(["-C", whole, "fetch", "-q", "--force", repository, "+refs/*:refs/lab/*"])
    commit = _commit(whole, ref)
    _git(["-C", bare, "fetch", "-q", "--no-tags", "file://" + whole, "+refs/lab/*:refs/lab/*", "--update-shallow"])
    return _commit(bare, commit)


def _commit(bare, name):
    return _git(["-C", bare, "rev-parse", "--verify", "--quiet", name + "^{commit}"])


def describe_git(argument, home, base):
    """Return (description of the tree of a commit, packed once into the cache, whether it was packed now)."""
    repository, ref = parse_repository(argument)
    place = located(repository, base)
    make_directory(home)
    bare = os.path.join(home, "git-%s.git" % key_of(["git", place])[:16])
    commit = _bring(bare, place, ref)
    directory = os.path.join(home, "git-%s" % commit[:16])
    done, packed = finished(directory), False
    if done is None:
        with building(directory) as (lock, other):
            done = other or _packed(bare, commit, directory, lock)
            packed = other is None
    archive = os.path.join(directory, "httpd.tar")
    described = {
        "source": "git %s %s, commit %s" % (repository, ref, commit),
        "version": "",
        "unpack": "tar",
        "path": archive,
        "sha256": done["sha256"],
        "skipped": [],
    }
    return described, packed


def _packed(bare, commit, directory, lock):
    archive = os.path.join(directory, "httpd.tar")
    # A user's filters, such as git-lfs, are programs: no .gitattributes of a stranger has one run.
    os.makedirs(os.path.join(bare, "info"), exist_ok=True)
    with open(os.path.join(bare, "info", "attributes"), "w") as file:
        file.write("* -filter\n")
    # Every file gets the time of the commit, so that make sees nothing to generate again.
    argv = ["git", "-C", bare, "archive", "--format=tar", "--prefix=httpd/", "-o", archive, commit]
    run_step("archive", argv, directory, directory, lock)
    done = {"sha256": sha256_file(archive), "commit": commit}
    write_json(os.path.join(directory, "build.json"), done)
    return done
