//! The report as a browser shows it: headless Chromium, where it is installed, opens the page in a window of 1,280 pixels and in one as
//! wide as a telephone. Nothing may be cut off, every picture must load, and the console must stay silent.

use allotrope::compare::{Batch, Experiment, PAGE, Report, StepResult, Subject};
use allotrope::prelude::*;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

/// Runs in the page: reports to the frame around it what is cut off, which pictures failed, and what went wrong.
const PROBE: &str = r#"<script>
const wrong = [];
window.addEventListener("error", e => wrong.push("error: " + (e.message || e.target.src)), true);
window.addEventListener("load", () => {
  const wide = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > wide) wrong.push("the page is " + document.documentElement.scrollWidth + " wide in " + wide);
  for (const e of document.querySelectorAll("body *")) {
    if (e.closest("svg") && e.tagName.toLowerCase() !== "svg") continue;
    const box = e.getBoundingClientRect();
    if (box.width > 0 && (box.right > wide + 0.5 || box.left < -0.5)) wrong.push("cut off: " + e.tagName + " " + e.className + " to " + box.right + " of " + wide);
    if (e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0 && getComputedStyle(e).overflowX !== "visible") wrong.push("scrolls: " + e.tagName + " " + e.className);
  }
  for (const e of document.images) if (!e.complete || e.naturalWidth === 0) wrong.push("no picture: " + e.src);
  const texts = document.querySelectorAll("td.equal, td.differs").length;
  parent.postMessage({wide, wrong, verdicts: texts, pictures: document.images.length, plots: document.querySelectorAll("svg").length}, "*");
});
</script>"#;

/// The widths that the page is shown in, in pixels.
const WIDTHS: [usize; 3] = [1280, 768, 390];

fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    std::env::split_paths(&path).flat_map(|dir| names.map(|name| dir.join(name))).find(|file| file.is_file())
}

/// A report with long names, three programs and an animation.
fn report() -> Report {
    let of = |name: &str| {
        let experiment = Experiment::new(
            name,
            || {
                let model = Rc::new(nn::Linear::new(3, 1));
                let opt = optim::Adam::new(model.parameters(), 0.1);
                let trained = model.clone();
                Subject::new(&model, move |batch, _| {
                    let prediction = trained.forward(&batch[0]);
                    let loss = mse_loss(&prediction, &batch[1]);
                    opt.zero_grad();
                    loss.backward();
                    opt.step();
                    StepResult::of(loss).predicting(prediction)
                })
            },
            || {
                (1..).map(|n| {
                    let time: Vec<f32> = (0..n).map(|i| i as f32).collect();
                    Batch::new([randn(&[n, 3]), randn(&[n, 1])]).curve(time.clone(), time)
                })
            },
        );
        experiment.steps(12).seed(1).run().expect("both modes run")
    };
    ["rnn_fixed", "rnn_dynamic_of_a_rather_long_name", "rnn_var_200"].map(of).into_iter().fold(
        Report::new("One program, two structures")
            .intro("A layer learns noise.")
            .command("allotrope compare --steps 60 --lengths 1..3 --hidden 32 --batch 1 --seed 1 --threads 1"),
        Report::with,
    )
}

#[test]
fn nothing_is_cut_off_and_every_picture_loads() {
    let folder = std::env::temp_dir().join(format!("allotrope-report-page-{}", std::process::id()));
    report().write(&folder).expect("written");
    let shown = chromium().map(|browser| shown(&browser, &folder));
    std::fs::remove_dir_all(&folder).expect("removed");
    let Some(shown) = shown else {
        eprintln!("report_page: no Chromium is installed here, so the page was written and not looked at");
        return;
    };
    for (width, found) in WIDTHS.iter().zip(&shown) {
        assert_eq!(found["wrong"], serde_json::json!([]), "in a window of {width} pixels");
        assert_eq!(found["wide"], *width);
        assert_eq!(found["verdicts"], 6, "losses and parameters of three programs");
        assert_eq!(found["pictures"], 1);
        assert!(found["plots"].as_u64() >= Some(6), "{found}");
    }
}

/// What the probe says of the page in each width.
fn shown(browser: &Path, folder: &Path) -> Vec<serde_json::Value> {
    let page = std::fs::read_to_string(folder.join(PAGE)).expect("the page");
    std::fs::write(folder.join("probed.html"), page.replacen("<head>", &format!("<head>{PROBE}"), 1)).expect("written");
    let frames: String = WIDTHS
        .iter()
        .map(|w| format!("<iframe src=\"probed.html\" width=\"{w}\" height=\"900\" style=\"border:0\"></iframe>"))
        .collect();
    let outer = format!(
        "<!doctype html><body>{frames}<pre id=\"found\"></pre><script>const all = {{}};\
         window.addEventListener(\"message\", e => {{ all[e.data.wide] = e.data; \
         document.getElementById(\"found\").textContent = JSON.stringify(all); }});</script></body>"
    );
    std::fs::write(folder.join("frames.html"), outer).expect("written");
    let profile = folder.join("profile");
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"])
        .args(["--enable-logging=stderr", "--virtual-time-budget=20000", "--window-size=1400,3000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}", folder.join("frames.html").display()))
        .output()
        .expect("the browser starts");
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    let console: Vec<&str> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(console.is_empty(), "the console says {console:?}");
    let found = dom.split_once("<pre id=\"found\">").and_then(|(_, rest)| rest.split_once("</pre>"));
    let (found, _) = found.unwrap_or_else(|| panic!("the probe said nothing: {dom}\n{log}"));
    let all: serde_json::Value =
        serde_json::from_str(&found.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"))
            .unwrap_or_else(|e| panic!("{e}: {found}\n{log}"));
    WIDTHS.iter().map(|w| all[w.to_string()].clone()).collect()
}
