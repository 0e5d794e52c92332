//! One test per recorded conversation, by its name.

use super::conversation::replay;

macro_rules! conversations {
    ($($name:ident $file:literal)*) => {
        $(
            #[test]
            fn $name() {
                replay(include_str!(concat!("../../../../contract/recorded/conversations/", $file)));
            }
        )*

        /// The files that have a test; a file without one would go unnoticed otherwise.
        const FILES: &[&str] = &[$($file),*];
    };
}

conversations! {
    conversation_00_fresh_cluster "00-fresh-cluster.json"
    conversation_01_root_license_info "01-root-license-info.json"
    conversation_02_routing "02-routing.json"
    conversation_11_job_update "11-job-update.json"
    conversation_12_job_delete "12-job-delete.json"
    conversation_13_delete_invalid_id_twice "13-delete-invalid-id-twice.json"
    conversation_20_open_close_cycle "20-open-close-cycle.json"
    conversation_22_close_many "22-close-many.json"
    conversation_30_close_query "30-close-query.json"
    conversation_31_close_query_good "31-close-query-good.json"
    conversation_32_close_body "32-close-body.json"
    conversation_34_close_ids_and_line_length "34-close-ids-and-line-length.json"
    conversation_40_failed "40-failed.json"
    conversation_50_datafeed_config "50-datafeed-config.json"
    conversation_51_datafeed_run_and_close "51-datafeed-run-and-close.json"
    conversation_53_datafeed_bad_index "53-datafeed-bad-index.json"
    conversation_60_upgrade_mode "60-upgrade-mode.json"
    conversation_70_views "70-views.json"
    conversation_72_calendars "72-calendars.json"
    conversation_81_capacity "81-capacity.json"
    conversation_90_config_lost_task_alive "90-config-lost-task-alive.json"
    conversation_91_deleting_mark "91-deleting-mark.json"
    conversation_95_races "95-races.json"
    conversation_s10_401_no_credentials "s10-401-no-credentials.json"
    conversation_s10_401_unknown_user "s10-401-unknown-user.json"
    conversation_s10_401_wrong_password "s10-401-wrong-password.json"
    conversation_s11_401_malformed "s11-401-malformed.json"
    conversation_s20_user_close_only "s20-user-close-only.json"
    conversation_s20_user_close_stats "s20-user-close-stats.json"
    conversation_s20_user_ml_both "s20-user-ml-both.json"
    conversation_s20_user_monitor_ml "s20-user-monitor-ml.json"
    conversation_s20_user_monitor "s20-user-monitor.json"
    conversation_s20_user_none "s20-user-none.json"
    conversation_s30_api_keys "s30-api-keys.json"
    conversation_s31_has_privileges "s31-has-privileges.json"
    conversation_s40_datafeed_rights "s40-datafeed-rights.json"
    conversation_s50_upgrade_mode "s50-upgrade-mode.json"
}

#[test]
fn every_recorded_conversation_has_a_test() {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../contract/recorded/conversations"
    );
    let entries = std::fs::read_dir(folder).expect("the folder of conversations");
    let mut files: Vec<String> = entries
        .map(|e| {
            e.expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    files.sort();
    assert_eq!(files, FILES);
}
