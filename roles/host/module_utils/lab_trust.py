"""Whose the files are that root is about to use: the only code that checks owner, mode and links in a cache.

Nothing is taken for ours by its name. What a stranger's build left becomes ours when it is over and was looked at.
"""

from __future__ import absolute_import, division, print_function

import os
import pwd
import stat

from ansible.module_utils.lab_build import MARKER, LabError

# Directories of builds below a cache. One that has no marker is being built, or was left half done: it is thrown away
# before its place is used, and not looked at.
_BUILDS = ("httpd", "cgid", "scripts")
_DEEPEST = 64  # of what a build may leave: no walk goes as deep as directories can be nested
_MOST_LINKS = 40  # on the way to a path, as the kernel has it


def settle(root, uid):
    """Make a tree ours that a build of `uid` wrote, when nothing of that runs any more; LabError names what is not fit.

    There may be directories, plain files of one name each, and links that stay in the tree. Afterwards all of it
    belongs to the caller, everybody may read it, and nobody else may write it.
    """
    for place, directories, names, at in os.fwalk(root):
        if place[len(root) :].count(os.sep) > _DEEPEST:
            raise _refused(place, "is deeper than %d directories" % _DEEPEST)
        for name in (*directories, *names):
            path = os.path.join(place, name)
            about = os.stat(name, dir_fd=at, follow_symlinks=False)
            _check(path, about, root, uid)
            _take(name, about, at)
    about = os.lstat(root)
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != uid:
        raise _refused(root, "is not the directory that was made for the build")
    _take(root, about, None)


def _check(path, about, root, uid):
    if about.st_uid != uid:
        raise _refused(path, "belongs to %s and not to who built it" % _user(about.st_uid))
    if stat.S_ISLNK(about.st_mode):
        if not _within(os.path.realpath(path), root):
            raise _refused(path, "is a link that leads out of the build: %s" % os.readlink(path))
    elif stat.S_ISREG(about.st_mode):
        if about.st_nlink != 1:
            raise _refused(path, "has a second name")
    elif not stat.S_ISDIR(about.st_mode):
        raise _refused(path, "is no file")


def _take(name, about, at):
    os.chown(name, os.geteuid(), os.getegid(), dir_fd=at, follow_symlinks=False)
    if not stat.S_ISLNK(about.st_mode):
        # Without a bit for the group no list of further rights (ACL) gives one either.
        os.chmod(name, stat.S_IMODE(about.st_mode) & 0o755 | 0o444 | (0o111 * stat.S_ISDIR(about.st_mode)), dir_fd=at)


def _refused(path, why):
    return LabError(
        "what was built is not used: %s %s" % (os.path.basename(path), why),
        where=path,
        fix="look at what this source installs; nothing of it was run outside of its build",
    )


def check_cache(cache):
    """Raise LabError naming the first thing in a cache, or above it, that another user could have put there."""
    check_above(cache)
    if not os.path.lexists(cache):
        return
    for place, directories, names, at in os.fwalk(cache):
        if _unfinished(cache, place, names):
            directories[:] = []  # nothing in it is used
            continue
        for name in (*directories, *names):
            try:
                about = os.stat(name, dir_fd=at, follow_symlinks=False)
            except FileNotFoundError:  # of a build that goes on beside this
                continue
            wrong = _wrong(os.path.join(place, name), about, cache)
            if wrong:
                raise _foreign(os.path.join(place, name), wrong)


def _wrong(path, about, cache):
    """Return why a part of a cache may not be ours, empty when it is."""
    if about.st_uid != os.geteuid():
        return "belongs to %s" % _user(about.st_uid)
    if stat.S_ISLNK(about.st_mode):
        return "" if _within(os.path.realpath(path), cache) else "is a link that leads out of it"
    if about.st_mode & _others_bits():
        return "can be written by others (mode %04o)" % stat.S_IMODE(about.st_mode)
    return "" if stat.S_ISREG(about.st_mode) or stat.S_ISDIR(about.st_mode) else "is neither a file nor a directory"


def _unfinished(cache, place, names):
    kind, _, rest = os.path.relpath(place, cache).partition(os.sep)
    return kind in _BUILDS and rest and os.sep not in rest and MARKER not in names


def check_above(path):
    """Raise LabError when somebody else could put another directory in the place of this one, or of one above it."""
    for place, about in _passed(os.path.dirname(path)):
        if about.st_uid not in (0, os.geteuid()):
            kind = "is a link of" if stat.S_ISLNK(about.st_mode) else "belongs to"
            raise _foreign(place, "%s %s" % (kind, _user(about.st_uid)))
        if not stat.S_ISDIR(about.st_mode):
            continue
        if about.st_mode & _others_bits() and not about.st_mode & stat.S_ISVTX:
            raise _foreign(place, "can be written by others (mode %04o)" % stat.S_IMODE(about.st_mode))


def _passed(path):
    """Yield (path, status) of each directory and link that is passed on the way to a path, and of what it leads to.

    Of a link whoever owns it decides where it leads, so the way goes on from there. What is not there yet ends it.
    """
    left, place, links = path.split(os.sep)[::-1], os.sep, 0
    yield place, os.lstat(place)
    while left:
        name = left.pop()
        if name in ("", os.curdir):
            continue
        if name == os.pardir:
            place = os.path.dirname(place)
            continue
        found = os.path.join(place, name)
        try:
            about = os.lstat(found)
        except FileNotFoundError:
            return
        yield found, about
        if not stat.S_ISLNK(about.st_mode):
            place = found
            continue
        target, links = os.readlink(found), links + 1
        if links > _MOST_LINKS:
            raise _foreign(found, "leads on through more than %d links" % _MOST_LINKS)
        left += target.split(os.sep)[::-1]
        place = os.sep if os.path.isabs(target) else place


def _others_bits():
    # Where a user's own group is the default, what is the user's alone can be written by that group.
    return stat.S_IWOTH | (stat.S_IWGRP if os.geteuid() == 0 else 0)


def _foreign(path, why):
    return LabError(
        "%s %s: nothing is run from a directory that is not this user's alone" % (path, why),
        where=path,
        fix="look at it and remove it, or set host_cache_dir and host_work_dir to other places",
    )


def _within(path, root):
    return os.path.commonpath([path, os.path.realpath(root)]) == os.path.realpath(root)


def _user(uid):
    try:
        return "the user %s" % pwd.getpwuid(uid).pw_name
    except KeyError:
        return "the user %d" % uid
