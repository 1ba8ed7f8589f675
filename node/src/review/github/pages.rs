//! Lists that GitHub gives in pages.

use super::{Access, JobError, parse};
use reqwest::Method;
use reqwest::header::{HeaderMap, LINK};
use serde::de::DeserializeOwned;

const PER_PAGE: usize = 100;
/// The largest number of pages of reviews and comments that are read: the first, and for a longer list the newest.
const TALK_PAGES: usize = 30;

impl Access<'_> {
    pub(super) async fn pages<T: DeserializeOwned>(
        &self,
        path: &str,
        pages: usize,
    ) -> Result<Vec<T>, JobError> {
        let mut all = Vec::new();
        for page in 1..=pages {
            let some: Vec<T> = self.get(&page_of(path, page)).await?;
            let is_last = some.len() < PER_PAGE;
            all.extend(some);
            if is_last {
                break;
            }
        }
        Ok(all)
    }

    /// A list of which the newest items matter and come last: its first page, which says how many there are, and as
    /// many of its last pages as are looked through.
    pub(super) async fn newest_pages<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, JobError> {
        let first = self.call(Method::GET, &page_of(path, 1), None).await?;
        let mut all: Vec<T> = parse(&first.body)?;
        let newest = first.last_page.map_or(2, |last| last.saturating_sub(TALK_PAGES - 2).max(2));
        let mut is_full = all.len() == PER_PAGE;
        // Until a page is not full: others may write meanwhile.
        for page in newest..newest + TALK_PAGES - 1 {
            if !is_full {
                break;
            }
            let some: Vec<T> = self.get(&page_of(path, page)).await?;
            is_full = some.len() == PER_PAGE;
            all.extend(some);
        }
        Ok(all)
    }
}

fn page_of(path: &str, page: usize) -> String {
    format!("{path}?per_page={PER_PAGE}&page={page}")
}

/// The URL with this relation in the `Link` header
/// (<https://docs.github.com/rest/using-the-rest-api/using-pagination-in-the-rest-api>).
fn linked<'h>(headers: &'h HeaderMap, relation: &str) -> Option<&'h str> {
    let links = headers.get(LINK)?.to_str().ok()?;
    let wanted = format!("rel=\"{relation}\"");
    let link = links.split(',').find(|link| link.split(';').any(|part| part.trim() == wanted))?;
    link.split(';').next()?.trim().strip_prefix('<')?.strip_suffix('>')
}

/// Reads a parameter from the query of a URL.
fn parameter<'u>(url: &'u str, name: &str) -> Option<&'u str> {
    let query = url.split_once('?')?.1;
    query
        .split('&')
        .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))
        .map(|(_, value)| value)
}

pub(super) fn last_page(headers: &HeaderMap) -> Option<usize> {
    parameter(linked(headers, "last")?, "page")?.parse().ok()
}

/// What a list that is no numbered one calls its next page.
pub(super) fn next_page(headers: &HeaderMap) -> Option<String> {
    parameter(linked(headers, "next")?, "cursor").map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    #[test]
    fn the_link_header_names_the_last_page_and_the_next_cursor() {
        let of = |link: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(LINK, HeaderValue::from_static(link));
            (last_page(&headers), next_page(&headers))
        };
        let numbered = "<https://api.github.com/repositories/1/issues?per_page=100&page=2>; rel=\"next\", \
                        <https://api.github.com/repositories/1/issues?per_page=100&page=51>; rel=\"last\"";
        assert_eq!(of(numbered), (Some(51), None));
        let cursor =
            "<https://api.github.com/app/hook/deliveries?per_page=100&cursor=v1_12077215967>; rel=\"next\"";
        assert_eq!(of(cursor), (None, Some("v1_12077215967".to_owned())));
        assert_eq!(of("<https://api.github.com/x?page=1>; rel=\"first\""), (None, None));
        assert_eq!(of("nonsense"), (None, None));
        assert_eq!((last_page(&HeaderMap::new()), next_page(&HeaderMap::new())), (None, None));
    }
}
