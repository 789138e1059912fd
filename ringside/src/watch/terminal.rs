//! The terminal: taken, drawn on, read from, and given back whatever happens.

use std::io::{self, IsTerminal, Stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use call_screen::Key;
use ratatui::backend::CrosstermBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::crossterm::{cursor, execute};
use ratatui::layout::Rect;
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;

/// A terminal that is drawn on. Dropped, it is as it was before.
pub struct Terminal {
    drawn: ratatui::Terminal<CrosstermBackend<Stdout>>,
    /// A signal came that ends programs.
    ended: Arc<AtomicBool>,
}

/// What happened at the terminal.
pub enum Happened {
    /// A key was pressed.
    Key(Key),
    /// It has another size.
    Resized,
    /// Somebody wants it to end: Ctrl-C, or a signal.
    Ended,
    /// Nothing in time.
    Nothing,
}

impl Terminal {
    /// Whether there is one.
    pub fn check() -> Result<(), Failure> {
        if io::stdout().is_terminal() && (io::stdin().is_terminal() || tty_is_there()) {
            return Ok(());
        }
        let text = "watch needs a terminal; `ringside calls` and `ringside ladder` write to files and pipes";
        Err(Failure::Usage(text.to_owned()))
    }

    /// Takes it.
    pub fn take() -> Result<Self, Failure> {
        let ended = signals()?;
        give_back_on_panic();
        enable_raw_mode().map_err(failed)?;
        execute!(io::stdout(), EnterAlternateScreen, cursor::Hide).map_err(failed)?;
        let drawn = ratatui::Terminal::new(CrosstermBackend::new(io::stdout())).map_err(failed)?;
        Ok(Self { drawn, ended })
    }

    /// Draws anew; only what changed is written.
    pub fn draw(&mut self, draw: impl FnOnce(Rect, &mut Buffer)) -> Result<(), Failure> {
        let drawn = self.drawn.draw(|frame| draw(frame.area(), frame.buffer_mut()));
        drawn.map(drop).map_err(failed)
    }

    /// Waits for a key, so long at most.
    pub fn wait(&mut self, longest: Duration) -> Result<Happened, Failure> {
        let came = event::poll(longest).map_err(failed)?;
        if self.ended.load(Ordering::Relaxed) {
            return Ok(Happened::Ended);
        }
        if !came {
            return Ok(Happened::Nothing);
        }
        Ok(match event::read().map_err(failed)? {
            Event::Key(key) if key.kind != KeyEventKind::Release => read(key),
            Event::Resize(..) => Happened::Resized,
            _ => Happened::Nothing,
        })
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
    }
}

fn read(KeyEvent { code, modifiers, .. }: KeyEvent) -> Happened {
    if modifiers.contains(KeyModifiers::CONTROL) {
        let ends = matches!(code, KeyCode::Char('c'));
        return if ends { Happened::Ended } else { Happened::Nothing };
    }
    Happened::Key(match code {
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::F(number) => Key::F(number),
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Backspace => Key::Backspace,
        _ => return Happened::Nothing,
    })
}

/// Keys come from there where standard input is a capture.
fn tty_is_there() -> bool {
    std::fs::File::open("/dev/tty").is_ok()
}

/// Whether a signal came that ends programs: they would leave the terminal as it is drawn on.
fn signals() -> Result<Arc<AtomicBool>, Failure> {
    let failed = |error: io::Error| Failure::Failed(format!("signals cannot be waited for: {error}"));
    let ended = Arc::<AtomicBool>::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let entered = runtime.enter();
    let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
    let signals: Result<Vec<_>, _> = kinds.into_iter().map(signal).collect();
    let [mut terminate, mut interrupt, mut hangup] =
        <[_; 3]>::try_from(signals.map_err(failed)?).expect("there is one for each kind");
    drop(entered);
    let came = Arc::clone(&ended);
    let wait = move || {
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = hangup.recv() => {}
            }
        });
        came.store(true, Ordering::Relaxed);
        // Whoever waits for keys of a terminal that is gone waits for ever.
        std::thread::sleep(GRACE);
        give_back();
        std::process::exit(0);
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(wait).map_err(failed)?;
    Ok(ended)
}

fn give_back() {
    let _ = execute!(io::stdout(), LeaveAlternateScreen, cursor::Show);
    let _ = disable_raw_mode();
}

/// A panic on any thread gives the terminal back before it says where it was.
fn give_back_on_panic() {
    let say = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        give_back();
        say(panic);
    }));
}

/// How long the page has to end after a signal.
const GRACE: Duration = Duration::from_secs(1);

fn failed(error: io::Error) -> Failure {
    Failure::Failed(format!("the terminal cannot be used: {error}; see whether TERM is right"))
}
