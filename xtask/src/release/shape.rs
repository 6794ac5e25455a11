//! The shape of a task, which the infrastructure publishes, together with the image that a release puts into it.

use anyhow::Context as _;
use serde_json::Value;

use crate::problem::Problem;
use crate::verify::facts::{list_at, text};

/// What a release is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// The input of `RegisterTaskDefinition`, without tags.
    pub(crate) input: Value,
    /// `repository@sha256:...`.
    pub(crate) image: String,
    /// `sha256:...`.
    pub(crate) digest: String,
    /// The commit that the image was built from; may be unknown.
    pub(crate) sha: String,
    /// What the image says its version is; may be unknown.
    pub(crate) version: String,
    /// The same for the same shape with the same image.
    pub(crate) fingerprint: String,
}

impl Candidate {
    /// Puts `image` into the published `shape`.
    pub(crate) fn new(shape: &str, container: &str, image: &str) -> anyhow::Result<Self> {
        let digest = digest_of(image)?;
        let mut input: Value =
            serde_json::from_str(shape).context("the output `TaskDefinitionShape` is not JSON")?;
        let containers = input
            .pointer_mut("/containerDefinitions")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten();
        let mut is_placed = false;
        for definition in containers {
            let is_it = text(definition, "/name") == container;
            if let Some(fields) = definition.as_object_mut().filter(|_| is_it) {
                fields.insert("image".to_owned(), Value::from(image));
                is_placed = true;
            }
        }
        if !is_placed {
            let what = format!("the output `TaskDefinitionShape` has no container `{container}`");
            return Err(Problem::new(what, "deploy the service stack again: `--infra-only`").into());
        }
        expect_pinned(&input)?;
        Ok(Self {
            fingerprint: fingerprint(&input),
            input,
            image: image.to_owned(),
            digest,
            sha: String::new(),
            version: String::new(),
        })
    }

    /// Says where the image comes from.
    pub(crate) fn made_from(mut self, sha: &str, version: &str) -> Self {
        sha.clone_into(&mut self.sha);
        version.clone_into(&mut self.version);
        self
    }

    /// The role that ECS starts tasks with.
    pub(crate) fn execution_role(&self) -> String {
        text(&self.input, "/executionRoleArn")
    }
}

/// What follows the `@`; an image that is named by a tag may be another one tomorrow.
pub(crate) fn digest_of(image: &str) -> anyhow::Result<String> {
    let digest = image.split_once('@').map(|(_, digest)| digest).filter(|digest| {
        let hex = digest.strip_prefix("sha256:").unwrap_or_default();
        hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
    });
    digest.map(str::to_owned).ok_or_else(|| {
        let what = format!("`{image}` is not pinned by digest");
        Problem::new(what, "name it as `REPOSITORY@sha256:...`, as the registry does").into()
    })
}

/// Every container, also one that stands beside the gateway.
fn expect_pinned(input: &Value) -> anyhow::Result<()> {
    for container in list_at(input, "/containerDefinitions") {
        digest_of(&text(container, "/image"))?;
    }
    Ok(())
}

/// FNV-1a over the JSON, whose fields are sorted: to tell a candidate from another one, not to trust it.
fn fingerprint(input: &Value) -> String {
    let hash = input
        .to_string()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(digit: char) -> String {
        format!(
            "registry.example.com/gateway@sha256:{}",
            String::from(digit).repeat(64)
        )
    }

    fn shape(more: &str) -> String {
        format!(
            r#"{{"family":"f","containerDefinitions":[{{"name":"gateway","image":"{}","cpu":1}}{more}]}}"#,
            image('0')
        )
    }

    #[test]
    fn the_image_replaces_that_of_the_shape_and_nothing_else() {
        let candidate = Candidate::new(&shape(""), "gateway", &image('1')).unwrap();
        let container = &candidate.input["containerDefinitions"][0];
        assert_eq!(container["image"], image('1'));
        assert_eq!(container["cpu"], 1);
        assert_eq!(candidate.digest, format!("sha256:{}", "1".repeat(64)));
    }

    #[test]
    fn the_fingerprint_tells_images_and_shapes_apart_but_not_the_order_of_fields() {
        let one = Candidate::new(&shape(""), "gateway", &image('1')).unwrap();
        let other = Candidate::new(&shape(""), "gateway", &image('2')).unwrap();
        let swapped = format!(
            r#"{{"containerDefinitions":[{{"cpu":1,"image":"{}","name":"gateway"}}],"family":"f"}}"#,
            image('0')
        );
        let swapped = Candidate::new(&swapped, "gateway", &image('1')).unwrap();
        assert_ne!(one.fingerprint, other.fingerprint);
        assert_eq!(one.fingerprint, swapped.fingerprint);
    }

    #[test]
    fn what_is_not_pinned_is_refused_in_any_container() {
        let sidecar = r#",{"name":"sidecar","image":"registry.example.com/sidecar:latest"}"#;
        let rows = [
            (
                shape(""),
                "registry.example.com/gateway:1.0".to_owned(),
                "not pinned",
            ),
            (
                shape(""),
                "registry.example.com/gateway@sha256:12".to_owned(),
                "not pinned",
            ),
            (shape(sidecar), image('1'), "sidecar:latest"),
            ("{}".to_owned(), image('1'), "no container `gateway`"),
            ("nonsense".to_owned(), image('1'), "not JSON"),
        ];
        for (shape, image, says) in rows {
            let error = Candidate::new(&shape, "gateway", &image).unwrap_err();
            assert!(format!("{error:#}").contains(says), "{error:#}");
        }
    }
}
