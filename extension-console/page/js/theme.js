// Light, dark or as the system: applied before anything is drawn, kept in this browser.

(() => {
  const KEY = "ringside-theme";
  const ORDER = ["", "light", "dark"];
  const NAMES = { "": "◐ auto", light: "◐ light", dark: "◐ dark" };

  function stored() {
    try {
      const theme = localStorage.getItem(KEY) || "";
      return ORDER.includes(theme) ? theme : "";
    } catch {
      return "";
    }
  }

  function apply(theme) {
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
    const button = document.getElementById("theme");
    if (button) button.textContent = NAMES[theme];
  }

  window.ringsideTheme = {
    show: () => apply(stored()),
    next() {
      const theme = ORDER[(ORDER.indexOf(stored()) + 1) % ORDER.length];
      try {
        localStorage.setItem(KEY, theme);
      } catch {
        // Not kept, but applied.
      }
      apply(theme);
    },
  };
  apply(stored());
})();
