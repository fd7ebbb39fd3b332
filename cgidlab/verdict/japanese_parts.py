"""What goes into a verdict's templates, form by form, in Japanese: `japanese` reads a value by its English form."""

# ruff: noqa: E501 -- a form is one line, and full-width punctuation is how Japanese is written

PARTS = {
    # Places and counts.
    " at {place}": "({place})",
    "at {place}": "{place}",
    " and {level} at {place}": "、{level}({place})",
    " and {level}": "、{level}",
    "with {level} at {place}": "{level}、{place}",
    "with {level}": "{level}",
    " in {some} of {n} cells": "({n} セルのうち {some} セル)",
    "in {some} of {n} cells": "{n} セルのうち {some} セル",
    "{low} to {high} clients": "{low}〜{high} クライアント",
    "{low} to {high} requests a second": "毎秒 {low}〜{high} リクエスト",
    "{low} to {high} ms": "{low}〜{high} ms",
    "{low} to {high} requests at once": "一度に {low}〜{high} リクエスト",
    "{low} to {high} workers": "ワーカースレッド {low}〜{high} 個",
    "{n} clients": "{n} クライアント",
    "{n} requests a second": "毎秒 {n} リクエスト",
    "{n} requests at once": "一度に {n} リクエスト",
    "{n} workers": "ワーカースレッド {n} 個",
    "1 worker": "ワーカースレッド 1 個",
    "{n} trials": "{n} 試行",
    "1 trial": "1 試行",
    "{n} times": "{n} 回",
    "1 time": "1 回",
    "{n} blocks": "{n} ブロック",
    "1 block": "1 ブロック",
    "the only cell": "唯一のセル",
    # Levels of factors that are one word: with "_" in it a name needs no form.
    "script {name}": "スクリプト {name}",
    "mpm {name}": "MPM {name}",
    # How far a run came.
    "INTERRUPTED, {done} of {all}: {rest}": "中断({all}のうち {done} が終了): {rest}",
    "STILL RUNNING, {done} of {all} done: {rest}": "実行中({all}のうち {done} が終了): {rest}",
    "Go on with: {command}": "続きを実行するには: {command}",
    "nothing was measured, so nothing is said": "何も測定していないので、結果はない",
    "the limit is known only as well as is said below": "限界は下に示す精度でしかわからない",
    "no block is whole, so no level can be compared with another": "完了したブロックがないので、水準どうしを比べられない",
    "{whole} of {all} is whole, and a claim needs {n}, so no difference between levels can be shown or ruled out": (
        "{all}のうち {whole} が完了。判定には {n} 必要なので、水準の差があるともないとも言えない"
    ),
    "{whole} of {all} are whole, and a claim needs {n}, so no difference between levels can be shown or ruled out": (
        "{all}のうち {whole} が完了。判定には {n} 必要なので、水準の差があるともないとも言えない"
    ),
    "{whole} of {all} is whole, so what is not decided below may be decided by the others": (
        "{all}のうち {whole} が完了。未判定のものは、残りのブロックで判定できるかもしれない"
    ),
    "{whole} of {all} are whole, so what is not decided below may be decided by the others": (
        "{all}のうち {whole} が完了。未判定のものは、残りのブロックで判定できるかもしれない"
    ),
    # The queue.
    "full {share} of the time": "{share} の時間は満杯",
    "up to {workers} asleep": "最大で{workers}がスリープ",
    "{time} at worst": "最長 {time}",
    "in {some} of {all} trials": "{all} 試行中 {some} 試行",
    "seen by its witnesses": "計測器で確認",
    "no trial is valid": "有効な試行がない",
    "no witness of the queue ran": "キューを見る計測器が動いていない",
    "no valid trial was watched": "計測器で見た有効な試行がない",
    "queue: at most {depth} of a limit of {limit}, full for {share} of the window": "キュー: 上限 {limit} に対して最大 {depth}、測定時間の {share} は満杯",
    "queue: at most {depth} of a limit of {limit}": "キュー: 上限 {limit} に対して最大 {depth}",
    "sleepers: up to {n} workers asleep in connect()": "スリープ: 最大 {n} 個のワーカースレッドが connect() でスリープ",
    "connect times: up to {time}": "connect() の時間: 最大 {time}",
    # Changes.
    ": {reason} ({n} x)": "({n} 件は {reason})",
    ": {reason}": "({reason})",
    "{response} less than {share} up to {last}, {change} from {first} on": "{response}は {last}まで変化 {share} 未満、{first}から{change}",
    "{response} less than {share} down to {last}, {change} from {first} on": "{response}は {last}まで変化 {share} 未満、{first}から{change}",
    "{response} {change} % more ({low} to {high}) with {level} at {place}": "{place}で {level} のとき{response}が {change} % 増({low}〜{high})",
    "{response} {change} % less ({low} to {high}) with {level} at {place}": "{place}で {level} のとき{response}が {change} % 減({low}〜{high})",
    "{response} {change} % more ({low} to {high}) with {level}": "{level} のとき{response}が {change} % 増({low}〜{high})",
    "{response} {change} % less ({low} to {high}) with {level}": "{level} のとき{response}が {change} % 減({low}〜{high})",
    "{response} {change} times as much ({low} to {high}) with {level} at {place}": "{place}で {level} のとき{response}が {change} 倍({low}〜{high})",
    "{response} {change} times as much ({low} to {high}) with {level}": "{level} のとき{response}が {change} 倍({low}〜{high})",
    "{change} times as much ({low} to {high})": "{change} 倍({low}〜{high})",
    "{change} times as much": "{change} 倍",
    "{change} % more ({low} to {high})": "{change} % 増({low}〜{high})",
    "{change} % less ({low} to {high})": "{change} % 減({low}〜{high})",
    "{change} % more": "{change} % 増",
    "{change} % less": "{change} % 減",
    ", real and near what matters": "(差はあるが、問題になるかどうかの境目)",
    ", {number} of them a 503": "が失敗(うち {number} 件は 503)",
    "below": "未満",
    "above": "超",
    "a closed": "クローズド",
    "an open": "オープン",
    "a closed and an open": "クローズドとオープンの",
    "as a Poisson process": "ポアソン過程として",
    "in bursts": "バーストで",
    "at a rate that went from one to another": "一方から他方へ変わるレートで",
    "in stages": "段階的に",
    "evenly": "等間隔で",
    "throughput": "スループット",
    "p99 latency": "p99 レイテンシ",
    "p99.9 latency": "p99.9 レイテンシ",
    "median latency": "レイテンシの中央値",
    "mean latency": "平均レイテンシ",
    "p90 latency": "p90 レイテンシ",
    "the longest latency": "最大レイテンシ",
    "time asleep in connect() per request": "1 リクエストあたりの connect() 待ち時間",
    "requests lost per reload": "再読み込みごとに失われるリクエスト",
    "CPU per request": "リクエストあたりの CPU",
    "memory of the server": "サーバーのメモリ",
    "the rate": "レート",
    "the number of clients": "クライアント数",
    "the MPM": "MPM",
    "the handler": "ハンドラー",
    "the version of httpd": "httpd のバージョン",
    "{response} by {share}": "{response}で {share} 以上",
    "{response} by {share} over all levels of {factors} together": "{factors} をまとめて見れば{response}で {share} 以上",
    # What was searched.
    "between {a} and {b} clients": "{a}〜{b} クライアントの間",
    "between {a} and {b} requests a second": "毎秒 {a}〜{b} リクエストの間",
    "between {a} and {b} requests at once": "一度に {a}〜{b} リクエストの間",
    "between {a} and {b} workers": "ワーカースレッド {a}〜{b} 個の間",
    "between {a} and {b} {factor}": "{factor} {a}〜{b} の間",
    "below {level}, where the search begins": "探索の始点 {level} より下",
    "above {level}, where the search begins": "探索の始点 {level} より上",
    "below {level}, where the search ends": "探索の終点 {level} より下",
    "above {level}, where the search ends": "探索の終点 {level} より上",
    ", not as well as was asked": "、求められた精度には達していない",
    "{level} kept it in {some} of {all}": "{level} では {all} 回中 {some} 回満たした",
    "{level} missed it in {some} of {all}": "{level} では {all} 回中 {some} 回満たさなかった",
    "{n} trials in {blocks}": "{blocks}で {n} 試行",
    "1 trial in {blocks}": "{blocks}で 1 試行",
    # What is required.
    "overflow not_observed": "溢れが観測されないこと",
    "overflow for moments at most": "溢れは一瞬までであること",
    "{center}, at most {bound} (95 %, {n} blocks), but in {some} of {all} requests had waited longer when the window ended": (
        "{center}、最大でも {bound}(95 %、{n} ブロック)。ただし {all} 件中 {some} 件で、測定の終わりにもっと長く待っているリクエストがあった"
    ),
    "{center}, at most {bound} (95 %, {n} blocks)": "{center}、最大でも {bound}(95 %、{n} ブロック)",
    "{center}, at least {bound} (95 %, {n} blocks)": "{center}、少なくとも {bound}(95 %、{n} ブロック)",
    "{center}, {a} to {b} (95 %, {n} blocks)": "{center}、{a}〜{b}(95 %、{n} ブロック)",
    "not so in {some} of {all} trials, {worst} at worst": "{all} 試行中 {some} 試行で満たさず、最悪で {worst}",
    "so in all {n} trials, and beyond it in fewer than {share} of such (95 %)": "{n} 試行のすべてで満たし、満たさないのはこうした試行の {share} 未満(95 %)",
    "1 complete block has it, and a claim needs {least}": "この値のある完了したブロックは 1 で、判定には {least} 必要",
    "{n} complete blocks have it, and a claim needs {least}": "この値のある完了したブロックは {n} で、判定には {least} 必要",
    "it overflowed in {some} of {n} watched trials": "観測した {n} 試行のうち {some} 試行で溢れた",
    "it overflowed in {some} of 1 watched trial": "観測した 1 試行のうち {some} 試行で溢れた",
    "it was full for moments in {some} of {n} watched trials": "観測した {n} 試行のうち {some} 試行で一瞬満杯になった",
    "it was full for moments in {some} of 1 watched trial": "観測した 1 試行のうち {some} 試行で一瞬満杯になった",
    "only {n} watched trials, and a claim needs {least}": "観測した試行は {n} だけで、判定には {least} 必要",
    "only 1 watched trial, and a claim needs {least}": "観測した試行は 1 だけで、判定には {least} 必要",
    "in none of {n} watched trials": "観測した {n} 試行のどれでも溢れない",
    "in {some} of {n} watched trials, for moments": "観測した {n} 試行のうち {some} 試行で、一瞬だけ",
    "no witness of the queue tells": "キューを見る計測器の結果がない",
    # Reloads.
    "{n} ({low} to {high}) with {level}": "{level} では {n} 件({low}〜{high})",
    "{n} ({low} to {high})": "{n} 件({low}〜{high})",
    "{n}, known from {blocks} alone with {level}": "{level} では {n} 件({blocks}のみでの値)",
    "{n}, known from {blocks} alone": "{n} 件({blocks}のみでの値)",
    "none in {reloads}, and in fewer than {share} of such trials any (95 %) with {level}": "{level} では {reloads}で失われたものはなく、失うのはこうした試行の {share} 未満(95 %)",
    "none in {reloads}, and in fewer than {share} of such trials any (95 %)": "{reloads}で失われたものはなく、失うのはこうした試行の {share} 未満(95 %)",
    "not counted with {level}": "{level} では数えられない",
    "not counted": "数えられない",
    "{n} reloads": "再読み込み {n} 回",
    "graceful reload": "graceful な再読み込み",
    "restart": "再起動",
    "reload of another configuration": "設定を変えた再読み込み",
    "1 reload": "再読み込み 1 回",
    # Limits.
    "the cgid daemon's one thread never slept: it used {cpu} of a core and waited for a core {wait} % of the time": (
        "cgid デーモンの唯一のスレッドは一度もスリープしていない(CPU はコアの {cpu}、コアの空き待ちが {wait} %)"
    ),
    "the cgid daemon's fork loop used {cpu} of a core": "cgid デーモンの fork ループの CPU はコアの {cpu}",
    "the host's CPUs were {share} % busy": "ホストの CPU 使用率は {share} %",
    "the CPUs were idle and waiting for a disk {share} % of the time": "{share} % の時間、CPU はディスク待ちでアイドル",
    "the driver used {cpu} of a core and got {share} % of the answers a second that it gets for a static file": (
        "負荷生成プログラムの CPU はコアの {cpu}、応答数は静的ファイルの場合の {share} %"
    ),
    "the driver used {cpu} of a core": "負荷生成プログラムの CPU はコアの {cpu}",
    "the driver got {share} % of the answers a second that it gets for a static file": "負荷生成プログラムの応答数は静的ファイルの場合の {share} %",
    "{got} of the {rate} requests a second that were asked for were served": "毎秒 {rate} リクエストの要求のうち {got} をさばいた",
    "the script itself took {own} ms of a median latency of {all} ms": "レイテンシの中央値 {all} ms のうちスクリプト自体が {own} ms",
    "{busy} of {all} workers were busy": "{all} 個のワーカースレッドのうち {busy} 個が使用中",
    "the TCP accept queue held up to {depth} of {limit} and overflowed {n} times": "TCP の accept キューは上限 {limit} に対して最大 {depth}、{n} 回溢れた",
    "the TCP accept queue held up to {depth} of {limit}": "TCP の accept キューは上限 {limit} に対して最大 {depth}",
    "the TCP accept queue overflowed {n} times": "TCP の accept キューは {n} 回溢れた",
    # What was held back.
    "limits: {what}": "限界である: {what}",
    "limits in part: {what}": "一部は限界である: {what}",
    "does not limit: {what}": "限界ではない: {what}",
    "not known of: {what}": "不明: {what}",
    "{name} {ratio} ({low} to {high})": "{name} {ratio}({low}〜{high})",
    "{name} in {some} of {all} ({low} to {high})": "{name}({all} 件中 {some} 件、{low}〜{high})",
    "{name} in {some} of {all} ({low})": "{name}({all} 件中 {some} 件、{low})",
    "{name} in {some} of {all}": "{name}({all} 件中 {some} 件)",
    "the cgid daemon": "cgid デーモン",
    "the host's CPUs": "ホストの CPU",
    "the driver": "負荷生成プログラム",
    "the number of workers": "ワーカースレッドの数",
    "the scripts' own work": "スクリプト自体の処理",
    "the daemon at nice -10": "デーモンの nice を -10 にすること",
    "the daemon in real time": "デーモンをリアルタイムで動かすこと",
    "{share} % ({low} to {high})": "{share} %({low}〜{high})",
    "let the daemon run before its scripts: chrt --reset-on-fork --other --pid 0 PID, then renice -n -10 -p PID, each time that it was started": (
        "デーモンをスクリプトより先に動かす。起動するたびに chrt --reset-on-fork --other --pid 0 PID、続けて renice -n -10 -p PID"
    ),
    "more cores or cheaper scripts would raise throughput": "コアを増やすか、スクリプトを軽くすればスループットは上がる",
    "more cores would raise throughput": "コアを増やせばスループットは上がる",
    "{n} cells": "{n} セル",
    "cgid daemon": "cgid デーモン",
    "host CPU": "ホストの CPU",
    "disk": "ディスク",
    "driver": "負荷生成プログラム",
    "offered rate": "負荷のレート",
    "script time": "スクリプトの時間",
    "TCP accept queue": "TCP の accept キュー",
    # What to do.
    "raise the backlog and somaxconn together{when}: {how} to {level}": "{when}バックログと somaxconn を一緒に上げる。{how} {level} にする",
    "raise the backlog and somaxconn together{when}: {how} to {level}; about {n} requests are lost at each {kind} with {a}, {m} with {b}": (
        "{when}バックログと somaxconn を一緒に上げる。{how} {level} にする。"
        "ただし {kind} のたびに失われるリクエストは {a} では約 {n} 件、{b} では約 {m} 件"
    ),
    "build mod_cgid with -DDEFAULT_CGID_LISTENBACKLOG and set net.core.somaxconn, both": (
        "mod_cgid を -DDEFAULT_CGID_LISTENBACKLOG 付きでビルドし、net.core.somaxconn とともに"
    ),
    "set listen.backlog in the pool's file and net.core.somaxconn, both": "プールの設定ファイルの listen.backlog を net.core.somaxconn とともに",
    "set backlog (--backlog N) and net.core.somaxconn, both": "backlog(--backlog N)を net.core.somaxconn とともに",
    "set listen (--listen N) and net.core.somaxconn, both": "listen(--listen N)を net.core.somaxconn とともに",
    "set the backlog of who opens its socket (Backlog= of fcgiwrap.socket, or spawn-fcgi -b N) and net.core.somaxconn, both": (
        "ソケットを開く側のバックログ(fcgiwrap.socket の Backlog=、または spawn-fcgi -b N)を net.core.somaxconn とともに"
    ),
    # What another handler takes.
    "load mod_cgid; scripts stay": "mod_cgid を読み込む。スクリプトはそのまま",
    "load mod_cgi in place of mod_cgid; scripts stay": "mod_cgid の代わりに mod_cgi を読み込む。スクリプトはそのまま",
    "load mod_fcgid and have it start fcgiwrap for scripts; scripts stay": "mod_fcgid を読み込み、スクリプト用に fcgiwrap を起動させる。スクリプトはそのまま",
    "install fcgiwrap and hand scripts to its socket by mod_proxy_fcgi; scripts stay": "fcgiwrap を導入し、mod_proxy_fcgi でそのソケットに渡す。スクリプトはそのまま",
    "install php-fpm, have the script in PHP, hand it to its socket by mod_proxy_fcgi": "php-fpm を導入し、スクリプトを PHP にして、mod_proxy_fcgi でそのソケットに渡す",
    "install gunicorn, have the script as a Python application, hand it to its socket by mod_proxy_http": "gunicorn を導入し、スクリプトを Python アプリケーションにして、mod_proxy_http でそのソケットに渡す",
    "install uWSGI, have the script as a Python application, hand it to its socket by mod_proxy_uwsgi": "uWSGI を導入し、スクリプトを Python アプリケーションにして、mod_proxy_uwsgi でそのソケットに渡す",
    "lower the backlog{when} from {reference} to {level}": "{when}バックログを {reference} から {level} に下げる",
    " if {n} requests are always under way, as in this closed loop": "このクローズドループのように常時 {n} リクエストが処理中なら、",
    " if {low} to {high} requests are always under way, as in this closed loop": "このクローズドループのように常時 {low}〜{high} リクエストが処理中なら、",
    "{level}, {n} places of it used at most": "{level}(使われたのは最大 {n})",
    "{level}, 1 place of it used at most": "{level}(使われたのは最大 1)",
    "{level}, which was full at times": "{level}(ときどき満杯になった)",
    " for the rate that was asked for here (open loop)": "今回のレート(オープンループ)では、",
    " for the bursts that came here (open loop)": "今回のバースト(オープンループ)では、",
    "do not use {factor} {levels} in place of {reference}": "{factor} を {reference} の代わりに {levels} にしない",
    "prefer {level} to {reference}: {takes}": "{reference} より {level} を選ぶ。{takes}",
    "prefer {level} to {reference}": "{reference} より {level} を選ぶ",
    "weigh {level} against {reference}: {takes}": "{level} と {reference} の得失を見比べる。必要なのは: {takes}",
    "weigh {level} against {reference}": "{level} と {reference} の得失を見比べる",
    "take or leave {where} for what else it does: it is {change} {response}, near the {share} that matter": (
        "{where} はほかの利点で決めてよい。{response}は{change}で、問題になる {share} の境目"
    ),
    "leave the backlog at {reference}: no other level changes {smallest} or more; an overflow alone is no harm": (
        "バックログは {reference} のままでよい。ほかの水準でも{smallest} 以上は変わらない。溢れること自体は害ではない"
    ),
    "leave the backlog at {reference}: no other level changes {smallest} or more": "バックログは {reference} のままでよい。ほかの水準でも{smallest} 以上は変わらない",
    "leave {name} at {reference}: no other level changes {smallest} or more; an overflow alone is no harm": (
        "{name} は {reference} のままでよい。ほかの水準でも{smallest} 以上は変わらない。溢れること自体は害ではない"
    ),
    "leave {name} at {reference}: no other level changes {smallest} or more": "{name} は {reference} のままでよい。ほかの水準でも{smallest} 以上は変わらない",
    "{n} % of {response}": "{response}の {n} %",
    "put the load on another host before believing any throughput: {why}": "スループットを信じる前に、負荷を別のホストに移す({why})",
    "hold each back to see which of them limits ({how}): {names} are saturated together": (
        "順に抑えて、どれが限界なのかを確かめる({how})。{names} が同時に飽和している"
    ),
    "only fewer or cheaper forks would raise throughput (FastCGI, mod_proxy, a second instance)": (
        "スループットを上げるには fork を減らすか軽くするしかない(FastCGI、mod_proxy、httpd をもう 1 つ動かす)"
    ),
    "it competes for the CPUs: more cores or a driver on another host would raise throughput, and so would fewer or cheaper forks": (
        "CPU を奪い合っている。コアを増やす、負荷を別のホストに移す、fork を減らすか軽くする、のいずれでもスループットは上がる"
    ),
    "more cores would raise throughput, or a driver on another host": "コアを増やすか、負荷を別のホストに移せばスループットは上がる",
    "a faster disk or less logging would raise throughput": "ディスクを速くするかログを減らせばスループットは上がる",
    "ask for more requests to find the limit": "限界を知るには、もっと多くのリクエストを要求する",
    "a faster script would raise throughput": "スクリプトを速くすればスループットは上がる",
    "raise MaxRequestWorkers": "MaxRequestWorkers を上げる",
    "raise httpd's ListenBacklog (the TCP one) and net.core.somaxconn": "httpd の ListenBacklog(TCP 側)と net.core.somaxconn を上げる",
    "find out which witness is wrong before changing anything": "何かを変える前に、どの計測器が誤っているか調べる",
    "get a witness of the queue to run before changing anything": "何かを変える前に、キューを見る計測器を動かす",
    "get a valid trial that is watched before changing anything": "何かを変える前に、計測器で見た有効な試行を得る",
    "find out why requests fail at {where} before choosing a level; none fails at {free}": "水準を選ぶ前に、{where} でリクエストが失敗する理由を調べる({free} では失敗していない)",
    "find out why requests fail at {where} before choosing a level": "水準を選ぶ前に、{where} でリクエストが失敗する理由を調べる",
    "lower the load or put the driver on another host, then run again": "負荷を下げるか別のホストに移して、もう一度実行する",
    "remove the reason why the trials are not valid, then run again": "試行が無効になる原因を取り除いて、もう一度実行する",
    "plan for at most {load} on such a host with {where}": "このようなホストでは {load} までを見込む({where})",
    "plan for at most {load} on such a host": "このようなホストでは {load} までを見込む",
    "take at most {level} with {where}": "{level} を上限とする({where})",
    "take at least {level} with {where}": "{level} を下限とする({where})",
    "take at most {level}": "{level} を上限とする",
    "take at least {level}": "{level} を下限とする",
    "look beyond {level}, where the search begins, with {where}: no trial there kept the goal": "探索の始点 {level} より先を調べる({where})。始点では目標を満たす試行がない",
    "look beyond {level}, where the search begins: no trial there kept the goal": "探索の始点 {level} より先を調べる。始点では目標を満たす試行がない",
    "change nothing yet: these blocks do not show the limit as well as was asked, go on with the run, `{command}`": (
        "まだ何も変えない。限界が求められた精度ではわからない。`{command}` で続きを実行する"
    ),
    "change nothing yet: these blocks do not show the limit as well as was asked, wait for the run's end": (
        "まだ何も変えない。限界が求められた精度ではわからない。実行が終わるのを待つ"
    ),
    "change nothing yet: these blocks do not show the limit as well as was asked": "まだ何も変えない。このブロック数では限界が求められた精度ではわからない",
    "nothing: this is how the server answers at each load": "なし。負荷ごとのサーバーの応答がわかった",
    "change nothing yet: go on with the run, `{command}`, {time} here": "まだ何も変えない。`{command}` で続きを実行する(ここでは{time})",
    "change nothing yet: go on with the run, `{command}`": "まだ何も変えない。`{command}` で続きを実行する",
    "change nothing yet: wait for the run's end, {time} here": "まだ何も変えない。実行が終わるのを待つ(ここでは{time})",
    "change nothing yet: wait for the run's end": "まだ何も変えない。実行が終わるのを待つ",
    "wait for the run's end": "実行が終わるのを待つ",
    "go on with the run, `{command}`": "`{command}` で続きを実行する",
    "change nothing yet: these blocks do not decide it": "まだ何も変えない。このブロック数では判定できない",
    "change nothing yet: `{command}`, {time} more would probably decide {what}": "まだ何も変えない。`{command}` を実行すれば、あと{time}で{what}判定できる見込み",
    "change nothing yet: {time} more would probably decide {what}; take fewer levels or a larger smallest effect, or take it as known to ±{width}": (
        "まだ何も変えない。あと{time}で{what}判定できる見込みだが、水準を減らすか、問題とする効果を大きくする。精度 ±{width} で良しとしてもよい"
    ),
    "change nothing yet: {time} more would probably decide {what}": "まだ何も変えない。あと{time}で{what}判定できる見込み",
    "change nothing yet: {n} blocks are the least that decides anything, and the budget cut the run to {had}: `{command}`, {time} here": (
        "まだ何も変えない。判定には最低 {n} ブロック必要だが、時間の上限で {had} ブロックに切られた。`{command}`(ここでは{time})"
    ),
    "change nothing yet: {n} blocks are the least that decides anything, and the budget cut the run to {had}: `{command}`": (
        "まだ何も変えない。判定には最低 {n} ブロック必要だが、時間の上限で {had} ブロックに切られた。`{command}`"
    ),
    "change nothing yet: {n} blocks are the least that decides anything: `{command}`, {time} here, or set repetitions to {n2} or more in the file": (
        "まだ何も変えない。判定には最低 {n} ブロック必要。`{command}`(ここでは{time})、またはファイルの repetitions を {n2} 以上にする"
    ),
    "change nothing yet: {n} blocks are the least that decides anything: `{command}`, or set repetitions to {n2} or more in the file": (
        "まだ何も変えない。判定には最低 {n} ブロック必要。`{command}`、またはファイルの repetitions を {n2} 以上にする"
    ),
    "change nothing yet: {n} blocks are the least that decides anything": "まだ何も変えない。判定には最低 {n} ブロック必要",
    "change nothing yet: set repetitions to {n} or more, which is the least that decides anything": "まだ何も変えない。repetitions を {n} 以上にする(判定できる最小のブロック数)",
    "change nothing yet: remove what made {lost} of {all} of {where} count for nothing ({why}), more blocks would be lost alike": (
        "まだ何も変えない。{where} の {all}のうち {lost} が無効になった原因({why})を取り除く。ブロックを増やしても同じように失われる"
    ),
    "change nothing yet; run {time} more for a decision, which would probably decide {some} of {all} comparisons": (
        "まだ何も変えない。判定にはあと{time}の実行が必要(それで {all} 件中 {some} 件を判定できる見込み)"
    ),
    "change nothing yet; run {time} more for a decision": "まだ何も変えない。判定にはあと{time}の実行が必要",
    "it": "",
    "about {n} minutes": "約 {n} 分",
    "about 1 minute": "約 1 分",
    "about {n} hours": "約 {n} 時間",
    "{some} of {all} comparisons": "{all} 件中 {some} 件を",
    # Doubts.
    "p99 is a lower bound in {some} of {all} at {where} and in {more} more cells: up to {n} of its requests had waited longer when the window ended, which a longer window_s holds": (
        "{where} ほか {more} セルで p99 は下限({all} 件中 {some} 件)。測定の終わりに、p99 より長く待っているリクエストが最大 {n} 件あった。window_s を長くすると測れる"
    ),
    "p99 is a lower bound in {some} of {all} at {where} and in 1 more cell: up to {n} of its requests had waited longer when the window ended, which a longer window_s holds": (
        "{where} ほか 1 セルで p99 は下限({all} 件中 {some} 件)。測定の終わりに、p99 より長く待っているリクエストが最大 {n} 件あった。window_s を長くすると測れる"
    ),
    "p99 is a lower bound in {some} of {all} at {where}: up to {n} of its requests had waited longer when the window ended, which a longer window_s holds": (
        "{where} で p99 は下限({all} 件中 {some} 件)。測定の終わりに、p99 より長く待っているリクエストが最大 {n} 件あった。window_s を長くすると測れる"
    ),
    "watching changed {response} by {change} % ({low} to {high}): responses are those of passes that nothing watched, but what was seen of the queue is of watched ones": (
        "観測によって{response}が {change} % 変わった({low}〜{high})。応答の値は観測していないパスのもの、キューの様子は観測したパスのもの"
    ),
    "no pass was run that nothing watched: responses are of a watched server": "観測していないパスがないため、応答の値は観測下のもの",
    "the warm-up was too short: the first quarter of the windows ran at {ratio} of the rest": "ウォームアップが短すぎた(測定時間の最初の 4 分の 1 は残りの {ratio} 倍の速さ)",
    "two names of one level ({a} and {b}) differ in {response} by a ratio of {ratio}: here an effect of that size is noise, and none that is smaller is claimed": (
        "同じ値の 2 つの名前({a} と {b})で{response}が {ratio} 倍違う。ここではその大きさの効果はノイズなので、それより小さい効果は主張しない"
    ),
    "single pairs make the mean of {response} at {where} and in {more} more comparisons: ratio {mean}, and {ratio} without {cut} of {all} at either end": (
        "{where} ほか {more} 件の比較で、{response}の平均を少数の組が決めている(比 {mean}、{all} 個から両端の {cut} 個ずつを除くと {ratio})"
    ),
    "single pairs make the mean of {response} at {where} and in 1 more comparison: ratio {mean}, and {ratio} without {cut} of {all} at either end": (
        "{where} ほか 1 件の比較で、{response}の平均を少数の組が決めている(比 {mean}、{all} 個から両端の {cut} 個ずつを除くと {ratio})"
    ),
    "single pairs make the mean of {response} at {where}: ratio {mean}, and {ratio} without {cut} of {all} at either end": (
        "{where} で、{response}の平均を少数の組が決めている(比 {mean}、{all} 個から両端の {cut} 個ずつを除くと {ratio})"
    ),
    "the servers do not agree on what {level} does to {response} ({each}) and in {more} more comparisons: no one figure holds for all of them": (
        "{level} が{response}に与える影響はサーバー間で一致しない({each}、ほか {more} 件)。全体を 1 つの数値では表せない"
    ),
    "the servers do not agree on what {level} does to {response} ({each}): no one figure holds for all of them": (
        "{level} が{response}に与える影響はサーバー間で一致しない({each})。全体を 1 つの数値では表せない"
    ),
    "the budget of {time} cut the run to {done} of the {low} to {high} planned": (
        "時間の上限 {time} のため、計画 {low}〜{high} ブロックのうち{done}で打ち切った"
    ),
    "the budget of {time} cut the run to {done} of the {planned} planned": "時間の上限 {time} のため、計画 {planned} のうち{done}で打ち切った",
    "it was extended from {a} to {b} blocks after it had been looked at, which makes its error of 5 % up to 7 %": (
        "結果を見たあとで {a} から {b} ブロックに延長したため、誤りの確率は 5 % ではなく最大 7 %"
    ),
    "the server {host} was lost in block {block}, which another one ran ({why})": "ブロック {block} でサーバー {host} を失い、別のサーバーが実行した({why})",
    "{n} damaged files are left out": "破損した {n} 個のファイルを除外した",
    "1 damaged file is left out": "破損した 1 個のファイルを除外した",
    "the witnesses were not calibrated (--uncalibrated)": "計測器を較正していない(--uncalibrated)",
    "{witness} is not proven on {host} (its controls did not pass) and is not counted": "{witness} は {host} で検証できていない(対照実験に合格していない)ため使わない",
    "the host {host} is not as it was: {what}": "ホスト {host} が元の状態と違う: {what}",
    "the run left {what}": "実行が残したもの: {what}",
    "the run left {what}; and nothing tells whose this is: {more}": "実行が残したもの: {what}。どれのものかわからないもの: {more}",
    "how the host is now is not known: {why}": "ホストの今の状態は不明: {why}",
    "perhaps of the run: {what}": "実行が残したかもしれないもの: {what}",
}
