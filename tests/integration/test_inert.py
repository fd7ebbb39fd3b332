"""No text of an experiment, a run directory or a host is a template to Ansible, whatever it looks like."""

import json
from pathlib import Path

import pytest

from cgidlab.engine import ansible

PLAYBOOK = """\
- name: Use what it is told
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Say it
      ansible.builtin.debug:
        msg: "{{ told }} {{ told | to_json }}"
    - name: Say its parts
      ansible.builtin.debug:
        msg: "{{ item }}"
      loop: "{{ told.list }}"
"""


@pytest.mark.parametrize(
    "template",
    [
        "{{ %s }}",
        "{%% set x = %s %%}",
        "#jinja2: variable_start_string:'[[', variable_end_string:']]'\n[[ %s ]]",
        "#jinja2:block_start_string:'[%%',block_end_string:'%%]'\n[%% set x = %s %%]",
        "#jinja2:line_statement_prefix:'%%%%'\n%%%% set x = %s",
    ],
    ids=["expression", "statement", "expression of its own", "statement of its own", "line of its own"],
)
def test_text_is_no_template_whatever_it_says_a_template_looks_like(tmp_path: Path, template: str) -> None:
    """What began with `#jinja2:` and held no brace started any program on the control machine."""
    text = template % f"lookup('pipe', 'touch {tmp_path}/ran')"
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "playbooks" / "say.yml").write_text(PLAYBOOK)
    (tmp_path / "hosts.yml").write_text(json.dumps({"all": {"hosts": {"localhost": {"ansible_connection": "local"}}}}))
    heard: list[str] = []

    played = ansible.play(
        tmp_path / "playbooks" / "say.yml",
        tmp_path / "hosts.yml",
        {"told": {"text": text, text: 1, "list": [text]}},
        tmp_path / "play",
        timeout_s=120,
        callbacks=ansible.Callbacks(on_result=lambda result: heard.append(str(result.result.get("msg", "")))),
    )

    assert played.ok, played.why
    assert text in heard
    assert not (tmp_path / "ran").exists()
