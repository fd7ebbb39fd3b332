"""The same trials written for EnOSlib: its static provider with this machine, four Ansible tasks a trial."""

import sys
import time

import enoslib  # type: ignore[import-not-found]  # is in an environment of its own


def main() -> None:
    """Run the trials and print what each took."""
    script, directory, httpd, trials = sys.argv[1:5]
    provider = enoslib.Static(
        enoslib.StaticConf.from_dictionary(
            {
                "resources": {
                    "machines": [
                        {
                            "roles": ["server"],
                            "address": "127.0.0.1",
                            "alias": "this-machine",
                            "user": "root",
                            "extra": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
                        }
                    ],
                    "networks": [],
                }
            }
        )
    )
    roles, _networks = provider.init()
    for _ in range(int(trials)):
        began_s = time.monotonic()
        with enoslib.actions(roles=roles, gather_facts=False) as tasks:
            tasks.file(path=f"{directory}/logs", state="directory", mode="0755")
            tasks.copy(src=f"{directory}/httpd.conf", dest=f"{directory}/httpd.conf.last", remote_src=True, mode="0644")
            tasks.command(argv=[script, directory, httpd])
            tasks.fetch(src=f"{directory}/load.txt", dest=f"{directory}/fetched.txt", flat=True)
        print(f"took_s={time.monotonic() - began_s}", flush=True)


if __name__ == "__main__":
    main()
