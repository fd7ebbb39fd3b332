"""What a report says in Japanese, by its English text; `say` looks it up, and a test finds what is missing."""

# ruff: noqa: E501, RUF001 -- a text is one line, and full-width punctuation is how Japanese is written

TEXTS = {
    # The page.
    "From:": "出典:",
    "not known": "不明",
    "{n} of {all} shown": "{all} 件中 {n} 件を表示",
    "more columns to the right →": "右にスクロールできます →",
    "Skip to the answer": "結論へ移動",
    "This run is {state}.": "この実行の状態: {state}",
    "What follows rests on the trials that were done.": "以下は、終了した試行だけに基づきます。",
    "The answer": "結論",
    "In full": "全文(英語)",
    "{n} damaged files are left out of everything here": "破損した {n} 個のファイルは集計から除外しました",
    "{n} more are in summary.json": "ほか {n} 件は summary.json にあります",
    "{invalid} invalid and {failed} failed of {n} trials; none of them is in the figures": (
        "{n} 試行のうち無効 {invalid}、失敗 {failed}。いずれも数値には含めていません"
    ),
    "trial {n}": "試行 {n}",
    "and {n} more": "ほか {n} 件",
    "{n} further reasons are in the table of trials": "ほか {n} 種類の理由は試行の表にあります",
    "Contents": "目次",
    "Cells": "セル(水準の組み合わせ)",
    "Trials": "試行",
    "How it was measured": "測定方法",
    "The plots need JavaScript. The verdict, the tables and all figures are readable without.": (
        "図の表示には JavaScript が必要です。結論、表、数値は JavaScript なしでも読めます。"
    ),
    "The queue overflowed": "キューは溢れました",
    "The queue was full for moments only": "キューが一杯になったのは一瞬だけです",
    "The queue did not overflow": "キューは溢れませんでした",
    "Whether the queue overflowed cannot be said": "キューが溢れたかどうかは判断できません",
    # What it cost.
    "What it cost": "どれだけ影響したか",
    "What it cost: there were not enough complete trials to compare levels.": (
        "影響: 水準を比較できるだけの完了した試行がありません。"
    ),
    (
        "Change of each response at a level of {factor} against {reference}, compared within blocks. The thin line, "
        "with the figures beside it, is the 95 % interval of all comparisons together, which decides that something "
        "changed; the thick one is that of the comparison alone."
    ): (
        "{factor} の各水準での応答の変化を、{reference} を基準にブロック内で比較しています。細い線と横の数値は"
        "すべての比較をまとめた 95 % 信頼区間で、変化があったかどうかはこれで判定します。太い線はその比較単独の区間です。"
    ),
    "Answers": "判定",
    "The same as a table": "同じ内容の表",
    "Effects": "効果",
    "Ratios within blocks.": "ブロック内の比です。",
    "Response": "応答",
    "Level": "水準",
    "Against": "基準",
    "At": "条件",
    "Change": "変化",
    "95 % interval": "95 % 信頼区間",
    "Answer": "判定",
    "Pairs": "対の数",
    "More pairs would decide": "判定に必要な追加の対",
    "Smallest change it can show": "検出できる最小の変化",
    "Interval of all comparisons together": "全比較をまとめた区間",
    "Sign interval": "符号検定の区間",
    "Bootstrap interval": "ブートストラップ区間",
    (
        "Those on the right are checks that need no distribution (docs/statistics.md). The smallest change it can show "
        "is found with a chance of 80 % by so many blocks with this spread."
    ): (
        "右側の列は分布を仮定しない検算です(docs/statistics.md)。「検出できる最小の変化」は、このばらつきとブロック数で "
        "80 % の確率で見つけられる大きさです。"
    ),
    "Each server by itself": "サーバーごとの結果",
    "Servers": "サーバー",
    "What each server found alone.": "各サーバー単独の結果です。",
    "Host": "ホスト",
    "At the reference": "基準水準での値",
    "Hosts agree": "ホスト間の一致",
    "no": "いいえ",
    "yes": "はい",
    "as far as can be told": "わかる範囲では一致",
    "too few blocks to ask": "ブロックが少なく判断できない",
    "no claim": "判定なし",
    "{low} to {high}": "{low}〜{high}",
    "all together": "全体",
    "change against the reference": "基準からの変化",
    "← better · worse →": ("← 良い・悪い →"),
    "← worse · better →": ("← 悪い・良い →"),
    "Shaded: changes of less than {share}, which do not matter.": "網掛け: 問題にならない {share} 未満の変化。",
    "A mark without a line has fewer than {n} complete blocks: no claim is made.": (
        "線のない点は、完了したブロックが {n} 未満のため判定していません。"
    ),
    "{level} against {reference}{at}: {size}, 95 % interval {interval}, {n} blocks: {answer}": (
        "{level} と {reference} の比較{at}: {size}、95 % 信頼区間 {interval}、{n} ブロック: {answer}"
    ),
    "costs at least that much": "基準以上に悪化",
    "equivalent: changes by less than that": "同等(変化は基準未満)",
    "gains at least that much": "基準以上に改善",
    "real, near what matters": "差はあるが、問題になるかどうかの境目",
    "not decided": "未判定",
    "no smallest effect was named": "基準の指定なし",
    # Responses.
    "Every trial": "すべての試行",
    "Responses: no complete trial measured one.": "応答: 測定できた完了試行がありません。",
    (
        "Each dot is a complete trial; lines join the medians of the cells. Dots of one level stand side by side so "
        "that they do not hide each other."
    ): "点は完了した試行、線は各セルの中央値です。重ならないよう、同じ水準の点は左右にずらしてあります。",
    "Hollow dots: {level}, the same value under a second name.": "白抜きの点: {level}(同じ値に別名を付けたもの)。",
    "Axis": "横軸",
    "log scale": "対数目盛",
    "milliseconds (log scale)": "ミリ秒(対数目盛)",
    "milliseconds": "ミリ秒",
    "requests per second": "リクエスト/秒",
    "trial": "試行",
    "{name} by {factor}, medians:": "{factor} ごとの{name}、中央値:",
    "throughput": "スループット",
    "median latency": "レイテンシの中央値",
    "mean latency": "平均レイテンシ",
    "p90 latency": "p90 レイテンシ",
    "p99 latency": "p99 レイテンシ",
    "p99.9 latency": "p99.9 レイテンシ",
    "the longest latency": "最大レイテンシ",
    "time asleep in connect() per request": "1 リクエストあたりの connect() 待ち時間",
    # Latency.
    "Latency by percentile": "パーセンタイル別レイテンシ",
    "Latency by percentile: no requests were recorded.": "パーセンタイル別レイテンシ: リクエストの記録がありません。",
    (
        "How long the slowest took: each step to the right is a tenth as many requests. All requests of {n} of {all} "
        "complete trials, merged by cell. A line ends where fewer than {few} requests lie beyond."
    ): (
        "遅いリクエストほど右側です。目盛が 1 つ右に進むと、該当するリクエストは 10 分の 1 になります。完了した {all} 試行のうち "
        "{n} 試行の全リクエストをセルごとにまとめました。それより遅いリクエストが {few} 件に満たないところで線は終わります。"
    ),
    "From load/rows.log of each trial.": "出典: 各試行の load/rows.log",
    "percentile of the requests": "リクエストのパーセンタイル",
    "Latency by percentile, p50 to p99.9, a line for each {factor}": "{factor} ごとのレイテンシ、p50 から p99.9 まで",
    # Time.
    "Where a request's time goes": "リクエストの時間の内訳",
    "Where a request's time goes: no trial recorded the states of its workers.": (
        "リクエストの時間の内訳: ワーカースレッドの状態を記録した試行がありません。"
    ),
    "connect: asleep in connect() to the daemon, before the queue": (
        "connect: デーモンへの connect() でスリープ(キューに入る前)"
    ),
    "read: waiting for the daemon and the script": "read: デーモンとスクリプトの応答待ち",
    "other: the rest of the mean latency: waiting for a worker or a CPU, httpd's own work, the way there and back": (
        "other: 平均レイテンシの残り。ワーカースレッドや CPU の空き待ち、httpd 自身の処理、往復の通信"
    ),
    "mark: how long a connection lay in the queue; a request makes two, and their waits overlap connect and read": (
        "縦線: 1 本の接続がキューに入っていた時間(1 リクエストは 2 本接続し、その待ちは connect、read と重なります)"
    ),
    "Means over the watched trials of each cell: threads in a state by answers a second (Little's law).": (
        "各セルの観測した試行の平均。その状態のスレッド数を毎秒の応答数で割ったもの(リトルの法則)です。"
    ),
    "Where the workers were": "ワーカースレッドの状態",
    "Where workers were": "ワーカースレッドの状態",
    (
        "Share of worker threads: asleep in connect() to the cgid daemon, waiting to read from it, running, anything "
        "else, or idle."
    ): (
        "ワーカースレッドの割合: cgid デーモンへの connect() でスリープ、デーモンからの read 待ち、実行中、その他、アイドル。"
    ),
    "Mean over the window and the trials with series in this page. From instruments/worker_states.csv of each trial.": (
        "このページに時系列がある試行の、測定時間内の平均。出典: 各試行の instruments/worker_states.csv"
    ),
    "What a request's mean time was made of": "リクエストの平均時間の内訳",
    "milliseconds, mean": "ミリ秒(平均)",
    "in the queue, ms": "キューに入っていた時間(ミリ秒)",
    # Inside a trial.
    "Inside a trial": "試行の中で起きたこと",
    "Inside a trial: no instrument recorded a series.": "試行の中で起きたこと: 時系列の記録がありません。",
    "Queue and sleepers of one trial of each cell, the one nearest the cell's median throughput, all on one scale.": (
        "各セルからスループットが中央値に最も近い 1 試行を選び、キューとスリープ中のワーカースレッドを同じ目盛で示します。"
    ),
    "Area: queue depth": "塗りつぶし: キューの深さ",
    "dashed: workers asleep in connect()": "破線: connect() でスリープ中のワーカースレッド",
    "grey line: the queue's limit, which is full at one more. Seconds into the window.": (
        "灰色の線: バックログの上限(もう 1 つ入ると満杯)。横軸は測定開始からの秒数。"
    ),
    "{n} of {all} cells.": "{all} セル中 {n} セル。",
    "{queued} queued, {asleep} asleep at most.": "最大でキューに {queued}、スリープ {asleep}。",
    "Look closer at trial {n}": "試行 {n} を詳しく見る",
    "raw file": "元のファイル",
    "One trial, closer": "試行を 1 つ詳しく",
    "Trial": "試行",
    "trial {n}, block {block}": "試行 {n}、ブロック {block}",
    "Not known: it was not observed in this trial.": "不明: この試行では観測していません。",
    "The darker, the more requests.": "濃いほどリクエストが多いことを示します。",
    (
        "This page carries {n} of {all} trials, the same number from each cell, spread evenly over the run; the others "
        "are in their directories."
    ): (
        "このページに入っているのは {all} 試行のうち {n} 試行です(各セルから同数、実行全体から均等に選択)。ほかは各試行のディレクトリにあります。"
    ),
    "A series of more than 200 samples is drawn as 200 stretches, the deepest of each.": (
        "200 点を超える時系列は 200 区間に分け、各区間の最大値で描いています。"
    ),
    "Queue depth as an area, workers asleep in connect as a dashed line": (
        "キューの深さは塗りつぶし、connect() でスリープ中のワーカースレッドは破線"
    ),
    "Queue depth": "キューの深さ",
    "Workers asleep in connect": "connect() でスリープ中のワーカースレッド",
    "Latency over time": "レイテンシの時間変化",
    "When the chosen trial's requests were answered, and how long they had taken": (
        "選んだ試行で、リクエストがいつ応答され、どれだけかかったか"
    ),
    "connections": "接続",
    "threads": "スレッド",
    "requests": "リクエスト",
    "from, ms": "ミリ秒以上",
    "limit": "上限",
    "seconds into the window": "測定開始からの秒数",
    # Limits.
    "What limits throughput": "スループットの上限を決めているもの",
    "What limits throughput: nothing that could limit was observed.": (
        "スループットの上限を決めているもの: 候補になるものを観測していません。"
    ),
    "Everything that was looked at, best evidence first, where the queue overflowed or else everywhere.": (
        "調べた候補のすべて。根拠の強い順。キューが溢れたセル(なければ全セル)での値です。"
    ),
    "Candidate": "候補",
    "Figure": "数値",
    "At its limit": "限界に達した",
    "Cells at the limit": "達したセル",
    "{n} of {all}": "{all} 中 {n}",
    "cgid daemon": "cgid デーモン",
    "host CPU": "ホストの CPU",
    "disk": "ディスク",
    "driver": "負荷生成プログラム",
    "offered rate": "負荷のレート",
    "script time": "スクリプトの時間",
    "TCP accept queue": "TCP の accept キュー",
    # Over the run.
    "Over the run": "実行全体の推移",
    "Over the run: no complete trial.": "実行全体の推移: 完了した試行がありません。",
    "Every trial, block by block": "ブロックごとのすべての試行",
    "Each trial's throughput by the median of its cell; every second block is shaded.": (
        "各試行のスループットを、そのセルの中央値に対する比で示します。網掛けは 1 つおきのブロックです。"
    ),
    "Throughput of every trial by its cell's median over the run, {n} trials": (
        "セルの中央値に対する各試行のスループットの推移、{n} 試行"
    ),
    "throughput by the cell's median": "スループット(セルの中央値比)",
    "minutes into the run": "開始からの分数",
    "The same level twice": "同じ水準どうしの差",
    "The difference between two names of one level, where there should be none: what this host cannot tell apart.": (
        "同じ値に付けた 2 つの名前の差。本来は差がないはずなので、このホストで区別できない大きさを示します。"
    ),
    "Noise floor": "ノイズフロア",
    "The largest: {one}.": "最大: {one}",
    (
        "Noise floor: no level was run under two names. Two labels of one value in the experiment file measure it: "
        "[100, {label: 100 again, value: 100}]."
    ): (
        "ノイズフロア: 同じ値に 2 つの名前を付けた水準がありません。実験ファイルに "
        "[100, {label: 100 again, value: 100}] と書くと測れます。"
    ),
    "Within the windows": "測定時間の中",
    "Passes, and what watching does": "パスと、観測の影響",
    "Too few blocks with a trial of the reference level to see a range.": "基準水準のブロックが少なく、変動幅はわかりません。",
    "more than the smallest effect that matters; ratios within blocks bear that, medians do not": (
        "問題になる最小の効果より大きい変動です。ブロック内の比は影響を受けませんが、中央値は受けます"
    ),
    "less than the smallest effect that matters": "問題になる最小の効果より小さい変動です",
    (
        "Throughput of the reference level lay between {low} and {high} of its median, block by block, in {time}: "
        "{meaning}."
    ): "基準水準のスループットは、{time}の間にブロックごとに中央値から {low}〜{high} の範囲で動きました。{meaning}。",
    "No throughput by the second is known.": "1 秒ごとのスループットは不明です。",
    "95 % interval {low} to {high}": "95 % 信頼区間 {low}〜{high}",
    "too few blocks for an interval": "ブロックが少なく区間は出せません",
    "the warm-up was too short": "ウォームアップが短すぎました",
    "the warm-up was long enough": "ウォームアップは十分でした",
    "that does not show whether the warm-up was long enough": "ウォームアップが十分だったかどうかはわかりません",
    "The first quarter of the windows ran at {ratio} of the rest ({interval}): {meaning}.": (
        "測定時間の最初の 4 分の 1 は、残りの {ratio} 倍の速さでした({interval})。{meaning}。"
    ),
    (
        "Throughput of one second and of the next correlate by {memory} (median of {n} trials); "
        "a window counts as one observation."
    ): "ある 1 秒と次の 1 秒のスループットの相関は {memory}({n} 試行の中央値)。1 回の測定時間を 1 つの観測と数えます。",
    "The windows are too short for series by the second.": "測定時間が短く、1 秒ごとの系列はありません。",
    "comparisons rest on {span} complete passes and blocks": "比較は完了した {span} 個のパスとブロックに基づきます",
    "comparisons rest on {span} complete blocks": "比較は完了した {span} 個のブロックに基づきます",
    "no comparison could be made": "比較はできませんでした",
    "{n} blocks were planned, with one look at the end; {rest}.": "計画は {n} ブロック、判定は最後の 1 回だけです。{rest}。",
    (
        "From {min} to {max} blocks, until a look finds every comparison {until}; looks come after {looks} blocks; "
        "{rest}. All looks share one error of 5 %, and intervals are as wide as that takes."
    ): (
        "{min}〜{max} ブロック。すべての比較が{until}まで続けます。途中の判定は {looks} ブロックの後です。{rest}。"
        "5 % の誤りをすべての判定で分け合うので、区間はその分広くなっています。"
    ),
    "known ({widths})": "必要な精度に達する({widths})",
    "decided": "判定できる",
    "A block is {n} passes over its cells.": "1 ブロックは全セルを {n} 回通ります。",
    "All passes are watched by all instruments, whose cost is in every figure.": (
        "すべてのパスを全計測器で観測しています。そのコストはすべての数値に含まれます。"
    ),
    (
        "One pass in {n} is watched by all instruments and says what happened inside the server; responses are from "
        "the others."
    ): "{n} 回に 1 回のパスを全計測器で観測し、サーバー内部の様子を調べます。応答の値は残りのパスのものです。",
    (
        "One block in {n} is watched by all instruments and says what happened inside the server; responses are from "
        "the others."
    ): "{n} ブロックに 1 ブロックを全計測器で観測し、サーバー内部の様子を調べます。応答の値は残りのブロックのものです。",
    "A percentile is one of all requests of a cell in a block's windows together.": (
        "パーセンタイルは、ブロック内の同じセルの全リクエストをまとめて求めています。"
    ),
    "too few passes for an interval": "パスが少なく区間は出せません",
    (
        "Where it is watched, {response} of a window differs by {change} ({span}; {n} watched passes against those "
        "next to them)."
    ): "観測したパスでは{response}が {change} 変わります({span}。観測した {n} パスと前後のパスの比較)。",
    (
        "The runner and Ansible, on the same machine, used {cpu} s of CPU a trial, and {share} % of all cores within "
        "the windows."
    ): "同じマシンで動く runner と Ansible は 1 試行あたり CPU を {cpu} 秒、測定時間内では全コアの {share} % を使いました。",
    # Tables.
    "Show cells with": "表示するセル",
    "Show trials with": "表示する試行",
    "Medians of the complete trials of each cell, and below them the middle half of these trials.": (
        "各セルの完了した試行の中央値。下段は中央の半分(四分位範囲)です。"
    ),
    "Complete trials": "完了した試行",
    "of {n}": "/ {n}",
    "In the order they ran; each number leads to the trial's raw files. –: not known.": (
        "実行順です。番号から各試行の元ファイルに移動できます。– は不明。"
    ),
    "Block": "ブロック",
    "Status": "状態",
    "Overhead, s": "付帯時間(秒)",
    "Errors": "エラー",
    "Throughput, req/s": "スループット(req/s)",
    "p50, ms": "p50(ms)",
    "p99, ms": "p99(ms)",
    "Max, ms": "最大(ms)",
    "Queue limit": "バックログの上限",
    "Deepest queue": "キューの最大の深さ",
    "Time full": "満杯の時間",
    "Most asleep in connect": "connect() でスリープ(最大)",
    "connect p99, µs": "connect() の p99(µs)",
    "Retries": "リトライ",
    "cgid CPU": "cgid の CPU",
    "Host CPU": "ホストの CPU",
    "Driver CPU": "負荷生成の CPU",
    # How it was measured.
    "Servers were watched as they were: one window, nothing varied.": (
        "稼働中のサーバーをそのまま観測しました。測定は 1 回で、何も変えていません。"
    ),
    "Asked for, before the run: the effect of {factor}, against {reference}.": (
        "実行前に決めた問い: {factor} の効果({reference} を基準とする)。"
    ),
    "The smallest effect that matters:": "問題になる最小の効果:",
    "Randomised complete blocks with seed {seed}: each block holds every cell once, or once a pass, in an order of its own.": (
        "乱塊法(シード {seed})。各ブロックは、すべてのセルを 1 回(またはパスごとに 1 回)、ブロックごとの順序で含みます。"
    ),
    "Not known": "不明な項目",
    "Order of the cells in each block": "各ブロックでのセルの順序",
    "Everything that was written down of machine and programs": "マシンとプログラムについて記録したすべて",
    "Files of the run:": "この実行のファイル:",
    (
        "Made by cgidlab from the run directory alone; the verb `report` makes it again. Nothing in this page is "
        "fetched from anywhere."
    ): "cgidlab が実行ディレクトリだけから作成しました。`report` で作り直せます。このページは外部から何も読み込みません。",
    "From the first trial to the last": "最初の試行から最後の試行まで",
    "In windows": "うち測定時間",
    "A trial beside warm-up and window, median": "ウォームアップと測定以外にかかった時間(1 試行、中央値)",
    "{s} s": "{s} 秒",
    "{h} h {min} min": "{h} 時間 {min} 分",
    "{min} min {s} s": "{min} 分 {s} 秒",
    "{n} trials": "{n} 試行",
    "{some} of {all} trials complete": "{all} 試行中 {some} 試行が完了",
    "host {name}": "ホスト {name}",
    "{n} hosts": "{n} ホスト",
    "{n} cores": "{n} コア",
    "changed since": "変更あり",
    "Machine": "マシン",
    "System": "システム",
    "Programs": "プログラム",
    "Witnesses proven by": "計測器を検証した実行",
    "Run from": "実行環境",
    # Failures.
    "the host, the connection or a program that is needed was not there": (
        "ホスト、接続、または必要なプログラムがありませんでした"
    ),
    "httpd did not start, died, or a CGI answered wrongly": (
        "httpd が起動しない、異常終了した、または CGI の応答が誤っていました"
    ),
    "the driver failed or was itself the limit": "負荷生成プログラムが失敗したか、それ自体が限界でした",
    "the server did not run what the trial names": "サーバーが試行の指定どおりに動いていませんでした",
    "something else on the host disturbed the trial": "ホスト上のほかの処理が試行を妨げました",
    "a phase took longer than it may": "許された時間を超えた段階がありました",
    "the run was stopped during the trial": "試行の途中で実行が止められました",
    "run again at the end of the block as often as noise.reruns says": (
        "ブロックの最後に noise.reruns の回数まで再実行します"
    ),
    "run again once at the end of the block": "ブロックの最後に 1 回再実行します",
    "run again once at the end of the block, and when the run is resumed": (
        "ブロックの最後に 1 回、実行の再開時にも再実行します"
    ),
    "not run again": "再実行しません",
    "not run again, and when the run is resumed": "実行の再開時に再実行します",
    # The terminal.
    "trials: {counts}": "試行: {counts}",
    "none": "なし",
    "; a trial cost {s} s beside warm-up and window (median)": "。ウォームアップと測定以外に 1 試行あたり {s} 秒(中央値)",
    "complete": "完了",
    "invalid": "無効",
    "failed": "失敗",
}
