"""What is to be done about a configuration that httpd does not take depends on what is wrong with it."""

import pytest

from tests.role_code import module

configtest = module("trial", "httpd_configtest")


@pytest.mark.parametrize(
    ("line", "said", "want"),
    [
        ("LoadModule fcgid_module x.so", "Cannot load x.so into server: no such file", "leave the handler"),
        ("LoadModule fcgid_module x.so", "module is not compatible with this version of Apache", "leave the handler"),
        ("KeepAlife On", "Invalid command 'KeepAlife'", "correct extra_directives"),
    ],
)
def test_a_module_that_cannot_be_loaded_is_no_directive_to_correct(line: str, said: str, want: str) -> None:
    wrong = configtest.complaint(
        f"httpd: Syntax error on line 2 of /tmp/x/httpd.conf: {said}\n", f"ServerName a\n{line}\n"
    )

    assert wrong == f"`{line}`: {said}"
    assert want in configtest.fix(wrong)
