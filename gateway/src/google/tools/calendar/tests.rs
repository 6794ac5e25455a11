//! Ranges, zones and the shape of events.

use serde_json::json;

use super::*;

fn range(min: Option<&str>, max: Option<&str>, zone: Option<&str>) -> Result<Range, ToolError> {
    let args = ListArgs {
        time_min: min.map(str::to_owned),
        time_max: max.map(str::to_owned),
        max_results: 10,
        page_token: None,
        calendar_id: primary(),
        query: None,
        time_zone: zone.map(str::to_owned),
    };
    Range::read(&args, "2026-11-20T10:00:00Z".parse().unwrap())
}

fn bounds(range: &Range) -> (String, String) {
    (range.min.to_string(), range.max.to_string())
}

#[test]
fn a_list_looks_seven_days_ahead_unless_asked_otherwise() {
    let default = range(None, None, None).unwrap();
    assert_eq!(
        bounds(&default),
        ("2026-11-20T10:00:00Z".into(), "2026-11-27T10:00:00Z".into())
    );
    let later = range(Some("2026-12-01T09:00:00+01:00"), None, None).unwrap();
    assert_eq!(
        bounds(&later),
        ("2026-12-01T08:00:00Z".into(), "2026-12-08T08:00:00Z".into())
    );
}

#[test]
fn a_local_time_is_taken_in_the_named_zone_also_across_daylight_saving() {
    let day = range(Some("2026-10-25"), Some("2026-10-26"), Some("europe/berlin")).unwrap();
    // The day on which clocks go back has 25 hours.
    assert_eq!(
        bounds(&day),
        ("2026-10-24T22:00:00Z".into(), "2026-10-25T23:00:00Z".into())
    );
    assert_eq!(day.zone.as_deref(), Some("Europe/Berlin"));
}

#[test]
fn what_is_no_time_no_zone_or_no_range_is_refused_by_name() {
    for (range, field) in [
        (range(Some("tomorrow morning"), None, None), "timeMin"),
        (range(Some("2026-11-20T09:00:00"), None, None), "timeMin"),
        (range(None, Some("2026-13-01T09:00:00Z"), None), "timeMax"),
        (range(None, Some("2026-11-20T10:00:00Z"), None), "timeMax"),
        (range(None, None, Some("Mars/Olympus")), "timeZone"),
        (range(None, None, Some("../../etc/passwd")), "timeZone"),
    ] {
        let error = range.unwrap_err();
        assert_eq!(
            (error.code.as_str(), error.field.as_deref()),
            ("invalid_argument", Some(field))
        );
    }
}

#[test]
fn an_all_day_event_keeps_its_dates() {
    let raw: RawEvent = serde_json::from_value(json!({
        "id": "e1", "summary": "Holiday", "start": { "date": "2026-11-20" }, "end": { "date": "2026-11-21" }
    }))
    .unwrap();
    assert_eq!(
        serde_json::to_value(raw.cut(LISTED_CHARS, LISTED_ATTENDEES)).unwrap(),
        json!({
            "id": "e1", "summary": "Holiday", "allDay": true,
            "start": { "date": "2026-11-20" }, "end": { "date": "2026-11-21" }
        })
    );
}

#[test]
fn a_long_event_is_cut_and_says_so() {
    let attendee = json!({ "email": "ana@example.com", "responseStatus": "accepted", "self": true });
    let raw: RawEvent = serde_json::from_value(json!({
        "id": "e1", "start": { "dateTime": "2026-11-20T09:00:00+01:00", "timeZone": "Europe/Berlin" },
        "description": format!("<p>{}</p>", "ä".repeat(600)),
        "attendees": vec![attendee; 25],
        "hangoutLink": "https://meet.example.com/old",
        "conferenceData": { "entryPoints": [
            { "entryPointType": "phone", "uri": "tel:+1" },
            { "entryPointType": "video", "uri": "https://meet.example.com/x" }
        ] }
    }))
    .unwrap();
    let event = serde_json::to_value(raw.cut(LISTED_CHARS, LISTED_ATTENDEES)).unwrap();
    assert_eq!(event["allDay"], json!(false));
    assert_eq!(event["start"]["dateTime"], "2026-11-20T09:00:00+01:00");
    assert_eq!(event["descriptionTruncated"], json!(true));
    assert_eq!(event["description"].as_str().unwrap().chars().count(), 500);
    assert_eq!(event["attendees"].as_array().unwrap().len(), LISTED_ATTENDEES);
    assert_eq!(event["attendees"][0]["self"], json!(true));
    assert_eq!(event["attendeesTruncated"], json!(true));
    assert_eq!(event["meetingLink"], "https://meet.example.com/x");
}
