//! The few words that Markdown itself puts on a page, in the languages that sites here are often written in.

use pulldown_cmark::BlockQuoteKind;

/// The words of one language. A language that is not known has those of English.
pub(super) struct Words {
    /// Note, tip, important, warning, caution.
    alerts: [&'static str; 5],
    /// A task that is still to do, and one that is done.
    tasks: [&'static str; 2],
    /// What the link from a footnote to its place in the text is called.
    pub(super) back: &'static str,
}

impl Words {
    /// The words of the language `lang`, a BCP 47 tag.
    pub(super) fn of(lang: &str) -> Self {
        let (alerts, tasks, back) = match lang.split('-').next().unwrap_or_default() {
            "de" => (["Hinweis", "Tipp", "Wichtig", "Warnung", "Vorsicht"], ["Offen", "Erledigt"], "Zurück zum Text"),
            "es" => {
                let alerts = ["Nota", "Consejo", "Importante", "Advertencia", "Precaución"];
                (alerts, ["Pendiente", "Hecho"], "Volver al texto")
            }
            "fr" => {
                let alerts = ["Remarque", "Conseil", "Important", "Avertissement", "Attention"];
                (alerts, ["À faire", "Fait"], "Retour au texte")
            }
            "it" => {
                (["Nota", "Consiglio", "Importante", "Avviso", "Attenzione"], ["Da fare", "Fatto"], "Torna al testo")
            }
            "ja" => (["補足", "ヒント", "重要", "警告", "注意"], ["未完了", "完了"], "本文に戻る"),
            "ko" => (["참고", "팁", "중요", "경고", "주의"], ["미완료", "완료"], "본문으로 돌아가기"),
            "pt" => (["Nota", "Dica", "Importante", "Aviso", "Cuidado"], ["Por fazer", "Feito"], "Voltar ao texto"),
            "zh" => (["注", "提示", "重要", "警告", "小心"], ["未完成", "已完成"], "返回正文"),
            _ => (["Note", "Tip", "Important", "Warning", "Caution"], ["To do", "Done"], "Back to the text"),
        };
        Self { alerts, tasks, back }
    }

    /// The title of an alert.
    pub(super) fn alert(&self, kind: BlockQuoteKind) -> &'static str {
        self.alerts[match kind {
            BlockQuoteKind::Note => 0,
            BlockQuoteKind::Tip => 1,
            BlockQuoteKind::Important => 2,
            BlockQuoteKind::Warning => 3,
            BlockQuoteKind::Caution => 4,
        }]
    }

    /// What stands for the box of a task to whoever does not see it.
    pub(super) fn task(&self, is_done: bool) -> &'static str {
        self.tasks[usize::from(is_done)]
    }
}
