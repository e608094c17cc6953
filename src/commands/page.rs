//! A part of a long list: what matches, so many at once, and where the next part starts.

use crate::commands::terminal::one_line;
use crate::failure::Failure;

/// Which part of a list.
#[derive(Default, clap::Args)]
pub(super) struct Page {
    /// Only those in whose id, names or addresses this is, in whatever letters
    #[arg(long, value_name = "TEXT")]
    matching: Option<String>,
    /// So many at most
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Those after this one: what a list with a limit says at its end, and `next` in JSON
    #[arg(long, value_name = "ID")]
    after: Option<String>,
}

impl Page {
    /// The part of a list in its order, and the id to go on after, where there is more.
    pub(super) fn of<T>(
        &self,
        mut items: Vec<T>,
        id: impl Fn(&T) -> &str,
        words: impl Fn(&T) -> Vec<String>,
    ) -> Result<(Vec<T>, Option<String>), Failure> {
        if let Some(after) = &self.after {
            let at = items.iter().position(|item| id(item) == after).ok_or_else(|| {
                Failure::new(format!("--after {}: there is none of that id here", one_line(after)))
                    .with_fix("take what the part before said, with the same filters; or start anew without it")
            })?;
            items.drain(..=at);
        }
        if let Some(text) = self.matching.as_deref().map(str::to_lowercase) {
            let fits = |word: &str| word.to_lowercase().contains(&text);
            items.retain(|item| fits(id(item)) || words(item).iter().any(|word| fits(word)));
        }
        let limit = self.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let has_more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| has_more).map(|last| id(last).to_owned());
        Ok((items, next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(page: &Page) -> (Vec<&'static str>, Option<String>) {
        page.of(vec!["a1", "b1", "b2", "b3", "c1"], |item| item, |item| vec![item.to_uppercase()]).unwrap()
    }

    #[test]
    fn a_list_is_read_part_by_part_to_its_end() {
        let page = |matching: Option<&str>, limit, after: Option<&str>| Page {
            matching: matching.map(str::to_owned),
            limit,
            after: after.map(str::to_owned),
        };
        assert_eq!(part(&page(None, None, None)).0.len(), 5);
        assert_eq!(part(&page(None, Some(2), None)), (vec!["a1", "b1"], Some("b1".to_owned())));
        assert_eq!(part(&page(None, Some(2), Some("b1"))), (vec!["b2", "b3"], Some("b3".to_owned())));
        assert_eq!(part(&page(None, Some(2), Some("b3"))), (vec!["c1"], None));
        assert_eq!(part(&page(Some("B"), Some(2), None)), (vec!["b1", "b2"], Some("b2".to_owned())));
        assert_eq!(part(&page(Some("b"), Some(2), Some("b2"))), (vec!["b3"], None));
        assert_eq!(part(&page(Some("x"), None, None)), (vec![], None));
        assert!(page(None, None, Some("z")).of(vec!["a"], |item| item, |_| Vec::new()).is_err());
    }
}
