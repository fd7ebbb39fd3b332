#!/usr/bin/python
"""Compile variants of mod_cgid: the only module that compiles it and applies patches to it."""

from __future__ import absolute_import, division, print_function

DOCUMENTATION = r"""
module: cgid_variants
short_description: Compile mod_cgid once for each combination of its limits
description:
  - Compiles all missing variants side by side, into C(CACHE/cgid/KEY/mod_cgid.so).
  - A variant is complete only when its C(build.json) is there, which is written last; anything else is thrown away.
options:
  builds:
    description: What httpd_build returned.
    type: dict
    required: true
  wanted:
    description: List of dicts with C(httpd), the name of a build, and C(variants), its wanted variants.
    type: list
    elements: dict
    required: true
  macros:
    description: By the setting of a variant, the macro of mod_cgid that it is the value of.
    type: dict
    required: true
  patches:
    description: Texts of the patches that variants name.
    type: dict
    default: {}
  cache_dir:
    description: The host's cache directory.
    type: path
    required: true
  cflags:
    description: Flags of the compiler.
    type: str
    default: -O2
  compiler:
    description: The C compiler.
    type: str
    default: gcc
attributes:
  check_mode:
    support: full
    description: Reports which variants would be compiled, and compiles none.
author:
  - cgidlab
"""

EXAMPLES = r"""
- name: Compile the variants
  cgid_variants:
    builds: "{{ __build_httpds.builds }}"
    wanted:
      - httpd: distro
        variants: [{listen_backlog: 5, connect_attempts: 15, patches: ""}]
    macros: {listen_backlog: DEFAULT_CGID_LISTENBACKLOG, connect_attempts: DEFAULT_CONNECT_ATTEMPTS}
    cache_dir: /var/cache/cgidlab
"""

RETURN = r"""
variants:
  description: By name of the build, its C(variants) with C(path) and C(sha256) of the module.
  type: dict
  returned: always
compiled:
  description: How many variants were compiled now.
  type: int
  returned: always
"""

import concurrent.futures
import os
import re

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.lab_build import (
    LabError,
    building,
    compiler_version,
    fail_with,
    finished,
    key_of,
    log_path,
    output_of,
    remove_tree,
    run_step,
    set_sane_umask,
    sha256_file,
    write_json,
)
from ansible.module_utils.lab_confined import Confinement
from ansible.module_utils.lab_trust import settle

_MODULE = "mod_cgid.so"


def defines(variant, macros):
    """Return the compiler's definitions for a variant; a version that does not guard a name with #ifndef ignores it."""
    return sorted("-D%s=%s" % (macro, variant[name]) for name, macro in macros.items())


def patch_names(variant, patches):
    """Return a variant's patches in their order; LabError where one is unknown, or lacks one that it says it needs."""
    names = str(variant.get("patches") or "").split()
    unknown = [name for name in names if name not in patches]
    if unknown:
        raise LabError(
            "there is no patch %s" % ", ".join(unknown),
            fix="use one of: %s; or add roles/cgid/files/patches/%s.patch"
            % (", ".join(sorted(patches)) or "none", unknown[0]),
        )
    for position, name in enumerate(names):
        needed = re.findall(r"^Needs: (\S+)$", patches[name].partition("\n--- ")[0], re.MULTILINE)
        lacking = [one for one in needed if one not in names[:position]]
        if lacking:
            raise LabError(
                "the patch %s needs %s before it" % (name, ", ".join(lacking)),
                fix='write patches: "%s"' % " ".join([*lacking, *[one for one in names if one not in lacking]]),
            )
    return names


def failed_hunks(text):
    """Return the lines of patch(1)'s output that name what did not apply."""
    lines = [line.strip() for line in text.splitlines()]
    return [
        line for line in lines if re.search(r"FAILED|can't find file|malformed|No file to patch|Only garbage", line)
    ]


def variant_key(build_key, compiler, cflags, defined, texts):
    """Return the key of a variant: equal only when everything that goes into the module is."""
    return key_of({"build": build_key, "compiler": compiler, "cflags": cflags, "defines": defined, "patches": texts})


def apply_patches(names, patches, tree, directory, lock, within, version="this version"):
    """Apply patches to a copy of the sources; LabError naming patch, hunk and version when one does not fit."""
    for name in names:
        path = os.path.join(directory, name + ".patch")
        with open(path, "w") as file:
            file.write(patches[name])
        within.see(path)
        # No fuzz: a hunk that fits by luck would measure something else than its name says.
        argv = ["patch", "-p1", "--batch", "--forward", "--fuzz=0", "--reject-file=-", "-i", path]
        step = "patch-" + name
        try:
            run_step(step, argv, tree, directory, lock, within)
        except LabError as failure:
            with open(os.path.join(directory, step + ".log"), errors="replace") as file:
                hunks = failed_hunks(file.read())
            raise LabError(
                "the patch %s does not apply to httpd %s: %s" % (name, version, "; ".join(hunks) or failure.what),
                where=log_path(directory, step),
                fix="leave the patch out for this httpd (docs/patches.md has the versions that each fits), "
                "or change roles/cgid/files/patches/%s.patch" % name,
            ) from failure


def compile_variant(job):
    """Compile one variant into its directory; return whether this call did it and not another process before."""
    with building(job["directory"]) as (lock, other):
        if other is not None:
            return False
        directory = job["directory"]
        # The source is a stranger's where the httpd is, and its flags as well.
        within = Confinement(directory, job["build"].get("unconfined", ""))
        within.see(os.path.dirname(job["build"]["prefix"]))
        work = within.give("work")
        tree = os.path.join(work, "src")
        words = ["sh", "-c", 'mkdir "$2" && cp -pR "$1" "$2/modules"', "sh"]
        run_step("copy", [*words, os.path.dirname(job["generators_dir"]), tree], work, directory, lock, within)
        version = job["build"]["version"]
        apply_patches(job["patch_names"], job["patches"], tree, directory, lock, within, version)
        generators = os.path.join(tree, "modules", "generators")
        module = os.path.join(work, _MODULE)
        argv = [
            job["compiler"],
            *job["cflags"].split(),
            "-fPIC",
            "-DPIC",
            "-shared",
            # The same module whatever directory it was compiled in.
            "-ffile-prefix-map=%s=." % tree,
            *job["apr_flags"],
            "-I" + job["include_dir"],
            "-I" + generators,
            *job["defines"],
            "-o",
            module,
            os.path.join(generators, "mod_cgid.c"),
        ]
        run_step("compile", argv, tree, directory, lock, within)
        settle(work, within.uid)
        os.rename(module, os.path.join(directory, _MODULE))
        remove_tree(work)
        within.done()
        marker = {"sha256": sha256_file(os.path.join(directory, _MODULE)), "argv": argv, "key": job["key"]}
        write_json(os.path.join(directory, "build.json"), marker)
    return True


def plan(params):
    """Return (jobs, results): the compilations that are missing, and for each build its variants with their jobs."""
    compiler = compiler_version(params["compiler"])
    jobs, results = {}, {}
    for wanted in params["wanted"]:
        build = params["builds"][wanted["httpd"]]
        for variant in wanted["variants"]:
            names = patch_names(variant, params["patches"])
            texts = [params["patches"][name] for name in names]
            defined = defines(variant, params["macros"])
            key = variant_key(build["build_key"], compiler, params["cflags"], defined, texts)
            directory = os.path.join(params["cache_dir"], "cgid", key[:16])
            results.setdefault(wanted["httpd"], []).append((variant, directory))
            if finished(directory) is None:
                jobs[directory] = {
                    "directory": directory,
                    "key": key,
                    "defines": defined,
                    "patch_names": names,
                    "patches": params["patches"],
                    "build": build,
                }
    return list(jobs.values()), results


def machine_apr_flags():
    """Return the compiler's flags for the machine's own APR, which builds that do not name theirs were made with."""
    flags = output_of(["apr-1-config", "--cppflags", "--cflags", "--includes"]).split()
    return flags + output_of(["apu-1-config", "--includes"]).split()


def compile_all(jobs, params):
    """Compile what is missing, as many at once as there are cores; return how many were compiled."""
    if not jobs:
        return 0
    for job in jobs:
        build = job["build"]
        job.update(
            compiler=params["compiler"],
            cflags=params["cflags"],
            apr_flags=build.get("apr_flags") or machine_apr_flags(),
            include_dir=os.path.join(build["prefix"], "include"),
            generators_dir=build["generators_dir"],
        )
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return sum(pool.map(compile_variant, jobs))


def described(results):
    """Return for each build its variants with path and hash of the module."""
    return {
        name: {"variants": [described_variant(variant, directory) for variant, directory in variants]}
        for name, variants in results.items()
    }


def described_variant(variant, directory):
    """Return a variant with path and hash of its module; no hash when it is not compiled (check mode)."""
    path = os.path.join(directory, _MODULE)
    return dict(variant, path=path, sha256=(finished(directory) or {}).get("sha256"))


def check_distinct(variants_of, versions):
    """Raise LabError where two variants of a build are one module: what they differ in makes no difference to it."""
    for name, build in sorted(variants_of.items()):
        seen = {}
        for variant in build["variants"]:
            settings = {key: value for key, value in variant.items() if key not in ("path", "sha256")}
            other = seen.setdefault(variant["sha256"], settings)
            apart = sorted(key for key in settings if settings[key] != other[key])
            if variant["sha256"] and apart:
                raise LabError(
                    "mod_cgid of httpd %s is the same module with %s"
                    % (versions[name], " and with ".join(_named(each, apart) for each in (other, settings))),
                    fix="leave out all but one of these: they differ in %s and compile to the same code there"
                    % " and ".join(apart),
                )


def _named(settings, names):
    return ", ".join("%s=%s" % (name, settings[name]) for name in names)


def main():
    module = AnsibleModule(
        argument_spec={
            "builds": {"type": "dict", "required": True},
            "wanted": {"type": "list", "elements": "dict", "required": True},
            "macros": {"type": "dict", "required": True},
            "patches": {"type": "dict", "default": {}},
            "cache_dir": {"type": "path", "required": True},
            "cflags": {"type": "str", "default": "-O2"},
            "compiler": {"type": "str", "default": "gcc"},
        },
        supports_check_mode=True,
    )
    set_sane_umask()
    try:
        jobs, results = plan(module.params)
        compiled = len(jobs) if module.check_mode else compile_all(jobs, module.params)
        variants = described(results)
        check_distinct(variants, {name: build["version"] for name, build in module.params["builds"].items()})
    except (LabError, OSError) as error:
        fail_with(module, error, "compiling mod_cgid")
    module.exit_json(changed=bool(compiled), compiled=compiled, variants=variants)


if __name__ == "__main__":
    main()
